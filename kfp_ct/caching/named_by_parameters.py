"""What the parameters of a task name: modules by import path or file, files of the repository, texts at gs://."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import function_names
from kfp_ct.base.errors import ComponentError, UsageError
from kfp_ct.caching.import_closure import ImportClosure
from kfp_ct.storage import locations, storage

# Sources of data count by data_version.
_DATA = "sources"
_SOURCE_FOLDERS = ("components", "pipelines")
_LONGEST_TEXT = 1 << 20
_QUOTED = re.compile(r"[\"']([^\"'\s]{1,200})[\"']")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclasses.dataclass
class Named:
    """What parameters name.

    Attributes:
        modules: Files of the modules, with all they import.
        files: Other files.
        objects: Texts in Cloud Storage: URI to checksum.
    """

    modules: set[Path] = dataclasses.field(default_factory=set)
    files: set[Path] = dataclasses.field(default_factory=set)
    objects: dict[str, str] = dataclasses.field(default_factory=dict)


class ParameterReader:
    """Finds what values name, for the tasks of one run."""

    def __init__(self, root: Path, closure: ImportClosure, objects: dict[str, str]) -> None:
        """Prepares.

        Args:
            root: Folder that tasks run in, which relative paths start from.
            closure: Follows imports.
            objects: Checksums of the texts in Cloud Storage that were looked at before; filled here.
        """
        self._root = root
        self._closure = closure
        self._objects = objects

    def read(self, parameters: Mapping[str, Any]) -> Named:
        """Returns what the parameters of one task name.

        Raises:
            UsageError: Cloud Storage does not let a text be looked at.
        """
        named = Named()
        for text in _strings({name: value for name, value in parameters.items() if name != _DATA}):
            self._add(text, named)
        return named

    def _add(self, text: str, named: Named) -> None:
        if locations.is_remote(text):
            named.objects |= self._object(text)
        elif function := function_names.split(text):
            self._add(function[0], named)
        elif _MODULE.fullmatch(text) and (files := self._closure.of_module(text)):
            named.modules |= files
        elif 0 < len(text) < 1024 and "\n" not in text and "\0" not in text:
            self._add_path(self._root / text, text, named)

    def _add_path(self, path: Path, text: str, named: Named) -> None:
        try:
            is_file, is_folder = path.is_file(), path.is_dir()
        except OSError:  # too long for a name, or not ours to look at
            return
        if is_file and path.suffix == ".py":
            named.modules |= self._closure.of_file(path)
        elif is_file:
            named.files.add(path)
            self._add_named_in(path, named)
        elif is_folder and text.partition("/")[0] in _SOURCE_FOLDERS:
            named.files |= {each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts}

    def _add_named_in(self, path: Path, named: Named) -> None:
        """Adds what a text file names in quotes, such as the module of a metric in an EvalConfig."""
        if path.stat().st_size > _LONGEST_TEXT:
            return
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError):
            return
        for quoted in set(_QUOTED.findall(text)):
            if _MODULE.fullmatch(quoted):
                named.modules |= self._closure.of_module(quoted)
            elif "/" in quoted and (self._root / quoted).is_file():
                named.files.add(self._root / quoted)

    def _object(self, uri: str) -> dict[str, str]:
        """Returns the checksum of an object; a folder, such as one for checkpoints, holds what tasks write."""
        if "." not in uri.rpartition("/")[2]:
            return {}
        if uri not in self._objects:
            try:
                found = storage.stat(uri)
            except ComponentError as error:
                raise UsageError(str(error)) from error
            self._objects[uri] = found.content if found else ""
        return {uri: self._objects[uri]}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
