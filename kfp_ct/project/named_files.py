"""The files and modules that settings name: are they there, and do they hold what is wanted of them?

Only files of this machine are read, and no module is imported: what is at a URI, or in a package that only the
component environment has, shows when it is used.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kfp_ct.base import function_names
from kfp_ct.base.errors import UsageError
from kfp_ct.base.setting_problems import Path as SettingPath
from kfp_ct.base.setting_problems import Problem, nearest, shown
from kfp_ct.base.settings import NamesModule, NamesText, Settings
from kfp_ct.project import module_files

_LONGEST = 10_000_000  # nobody's query, schema or evaluation config


@dataclasses.dataclass(frozen=True)
class NamedFiles:
    """Looks at what settings name.

    Attributes:
        root: Folder that tasks run in, which relative paths and import paths start from.
        is_where_tasks_run: Whether absolute paths, too, must be there; elsewhere they may be of another machine.
        made: Returns the text that a function makes (maker, reference); None where functions cannot be called.
    """

    root: Path
    is_where_tasks_run: bool = False
    made: Callable[[str, str], str] | None = None

    def problems(self, model: type[Settings], given: Mapping[str, Any]) -> list[Problem]:
        """Returns what is wrong with the files that a component's parameters name.

        Args:
            model: What the component says of its parameters.
            given: Values that fit by themselves.
        """
        found: list[Problem] = []
        texts: dict[str, str] = {}
        for path, marker, value in _named(model, given):
            if "${" in value:
                continue  # what a variable holds is known where the task runs
            if isinstance(marker, NamesModule):
                found += self._of_module(path, marker, value, given)
            elif marker.maker and (function := function_names.split(value)):
                found += self._of_function(path, marker, function, texts)
            elif marker.suffix == "" or value.endswith(marker.suffix):
                found += self._of_text(path, marker, value, texts)
        return [*found, *_conflicts(model, given, texts)]

    def _of_text(
        self, path: SettingPath, marker: NamesText, reference: str, texts: dict[str, str]
    ) -> Iterator[Problem]:
        file = self._local(reference)
        if file is None:
            return
        if not file.is_file():
            yield Problem(path, f" is {shown(reference)}: there is no such {marker.what}; {self._instead(reference)}")
            return
        try:
            text = file.read_text() if file.stat().st_size <= _LONGEST else None
        except (OSError, UnicodeDecodeError) as error:
            yield Problem(path, f" is {shown(reference)}: it cannot be read as text ({error})")
            return
        if text is None:
            yield Problem(path, f" is {shown(reference)}: it has more than {_LONGEST:,} bytes; expected a text file")
            return
        yield from self._checked(path, marker, (reference, text), texts)

    def _of_function(
        self, path: SettingPath, marker: NamesText, function: tuple[str, str], texts: dict[str, str]
    ) -> Iterator[Problem]:
        """Looks for a function that makes a text, and at the text."""
        found = list(self._of_module(path, NamesModule(function[1]), function[0], {}))
        yield from found
        if found or self.made is None:
            return
        reference = ":".join(function)
        try:
            text = self.made(marker.maker, reference)
        except UsageError as error:
            yield Problem(path, f" is {shown(reference)}: {error}")
            return
        yield from self._checked(path, marker, (reference, text), texts)

    def _checked(
        self, path: SettingPath, marker: NamesText, named: tuple[str, str], texts: dict[str, str]
    ) -> Iterator[Problem]:
        reference, text = named
        if len(path) == 1:
            texts[str(path[0])] = text
        said = [*(marker.check(text) if marker.check else ()), *self._of_classes(marker, text)]
        yield from (Problem(path, f": {reference}: {each}") for each in said)

    def _of_classes(self, marker: NamesText, text: str) -> Iterator[str]:
        for place, module, name in marker.classes(text) if marker.classes else ():
            if (missing := module_files.missing(self.root, module)) is not None:
                yield f"{place}.module is {shown(module)}: there is no such module; {missing}"
            elif file := module_files.find(self.root, module):
                yield from (f"{place}.class_name: {each}" for each in module_files.lacks(file, name, "class"))

    def _of_module(
        self, path: SettingPath, marker: NamesModule, reference: str, given: Mapping[str, Any]
    ) -> Iterator[Problem]:
        if marker.with_parameter and not given.get(marker.with_parameter):
            return
        if reference.endswith(".py"):
            file = self._local(reference)
            if file is not None and not file.is_file():
                yield Problem(path, f" is {shown(reference)}: there is no such file; {self._instead(reference)}")
                return
        elif (missing := module_files.missing(self.root, reference)) is not None:
            yield Problem(path, f" is {shown(reference)}: there is no such module; {missing}")
            return
        else:
            file = module_files.find(self.root, reference)
        if file is None or (marker.or_function and not list(module_files.lacks(file, marker.or_function))):
            return
        yield from (
            Problem(path, f" is {shown(reference)}: {said}") for said in module_files.lacks(file, marker.function)
        )

    def _local(self, reference: str) -> Path | None:
        """Returns a file that ought to be here; None where that cannot be told."""
        if "://" in reference or "\0" in reference or len(reference) > 1000:
            return None
        path = Path(reference)
        if path.is_absolute() and not self.is_where_tasks_run and not path.exists():
            return None
        return self.root / path

    def _instead(self, reference: str) -> str:
        path = self.root / reference
        with contextlib.suppress(OSError):
            siblings = {each.name: each for each in path.parent.iterdir() if each.is_file()}
            if near := nearest(path.name, list(siblings)):
                name = near.removeprefix("did you mean ").removesuffix("?")
                return f"did you mean {Path(reference).with_name(name)}?"
        return f"expected a path relative to {self.root}, an absolute one, or a URI"


def _named(model: type[Settings], given: Mapping[str, Any]) -> Iterator[tuple[SettingPath, Any, str]]:
    """Yields what values name: path, marker and name."""
    for parameter, field in model.model_fields.items():
        if parameter not in given:
            continue
        value, kind = given[parameter], field.annotation
        with contextlib.suppress(ValidationError):
            value = TypeAdapter(kind).validate_python(value) if kind else value
        yield from _in_field(field, value, (parameter,))


def _in_field(field: Any, value: Any, path: SettingPath) -> Iterator[tuple[SettingPath, Any, str]]:
    markers = [each for each in field.metadata if isinstance(each, NamesModule | NamesText)]
    if isinstance(value, str) and value.strip():
        yield from ((path, marker, value) for marker in markers)
    elif isinstance(value, Settings):
        for name, inner in type(value).model_fields.items():
            yield from _in_field(inner, getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _in_field(field, each, (*path, key)) if isinstance(each, Settings) else ()


def _conflicts(model: type[Settings], given: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Problem]:
    try:
        values = model.model_validate(dict(given))
    except ValidationError:
        return  # said elsewhere
    for name, text in values.conflicts_with_texts(texts):
        yield Problem(tuple(name.split(".")), f": {text}")
