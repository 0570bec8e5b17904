"""The version of a task: a hash of everything its result depends on beside its arguments and input artifacts."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import kfp_ct
from kfp_ct.caching import locked_environment
from kfp_ct.caching.file_index import FileIndex
from kfp_ct.caching.import_closure import ImportClosure
from kfp_ct.caching.module_finder import LIBRARY, ModuleFinder
from kfp_ct.caching.named_by_parameters import ParameterReader
from kfp_ct.project.environments import component_set, task_python
from kfp_ct.project.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class TaskVersion:
    """What a task is made of, by name to digest.

    Attributes:
        code: Files of the component and of the library that its executor imports.
        modules: Files of the modules its parameters name.
        files: Other files its parameters name, texts at gs:// among them.
        environment: What counts of the locked environment, or the image.
    """

    code: dict[str, str] = dataclasses.field(default_factory=dict)
    modules: dict[str, str] = dataclasses.field(default_factory=dict)
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def parts(self) -> dict[str, dict[str, str]]:
        """Everything, by kind."""
        return {"code": self.code, "module": self.modules, "file": self.files, "environment": self.environment}

    @functools.cached_property
    def digest(self) -> str:
        """A hash of everything."""
        # A module that is both imported and named is one file; which of the two it is must not matter.
        content = [{**self.code, **self.modules, **self.files}, self.environment]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def changed_sources(self, later: "TaskVersion") -> list[str]:
        """Returns which Python files are not the same in a later version of the same task; data may be a run's own."""
        now, before = {**later.code, **later.modules}, {**self.code, **self.modules}
        return sorted(name for name, digest in before.items() if name.endswith(".py") and now.get(name) != digest)


class Versions(Protocol):
    """Tells the version of tasks."""

    def of(self, command: Sequence[str], parameters: Mapping[str, Any]) -> TaskVersion:
        """Returns the version of a task.

        Args:
            command: What its executor runs; a Python component's source is part of it.
            parameters: Its parameters, as far as they are known.
        """


class NoVersions:
    """Versions of tasks whose results are not kept for another run."""

    def of(self, command: Sequence[str], parameters: Mapping[str, Any]) -> TaskVersion:
        """Returns a version that says nothing."""
        return TaskVersion()


class SourceVersions:
    """Versions of tasks that run from the sources of this machine, in the component environment."""

    def __init__(self, workspace: Workspace, environment: Mapping[str, str] | None = None) -> None:
        """Prepares; files are read when a version is asked for.

        Args:
            workspace: The repository that tasks run in.
            environment: What counts of their environment, by name to digest; by default this machine's.
        """
        self._root = workspace.root
        self._index = FileIndex(workspace.cache)
        python = task_python(workspace.root)
        self._library = _library(python).resolve()
        lock = workspace.root / "requirements" / component_set()[0]
        described = locked_environment.describe(python, lock) if environment is None else environment
        self._environment = dict(described)
        self._names: dict[Path, str] = {}
        self._objects: dict[str, str] = {}
        self._look()

    def of(self, command: Sequence[str], parameters: Mapping[str, Any]) -> TaskVersion:
        """Returns the version of a task at this moment, as `Versions` has it.

        Raises:
            UsageError: Cloud Storage does not let a text be looked at.
        """
        if self._index.refresh():
            self._look()
        code = self._code(tuple(command))
        named = self._reader.read(parameters)
        version = TaskVersion(
            code=self._digests(code),
            modules=self._digests(named.modules - code),
            files={**self._digests(named.files), **named.objects},
            environment=self._environment,
        )
        self._index.save()
        return version

    def _look(self) -> None:
        """Begins to follow imports over the files as they are now."""
        finder = ModuleFinder(_roots(self._root), self._library)
        self._closure = ImportClosure(finder, self._index)
        self._reader = ParameterReader(self._root, self._closure, self._objects)
        self._of_command: dict[tuple[str, ...], set[Path]] = {}

    def _code(self, command: tuple[str, ...]) -> set[Path]:
        if command not in self._of_command:
            sources = [text for text in command if "\n" in text and "def " in text]
            files = set().union(*(self._closure.of_source(text, self._root) for text in sources))
            # What runs no Python source of ours may run anything.
            self._of_command[command] = files if sources else self._closure.of_source("exec", self._root)
        return self._of_command[command]

    def _digests(self, paths: set[Path]) -> dict[str, str]:
        return {self._name(path): self._index.digest(path) for path in sorted(paths)}

    def _name(self, path: Path) -> str:
        """Names a file so that it has the same name wherever the repository and the library are."""
        if path not in self._names:
            resolved = path.resolve()
            bases = (base for base in (self._root.resolve(), self._library) if resolved.is_relative_to(base))
            base = next(bases, None)
            self._names[path] = resolved.relative_to(base).as_posix() if base else str(path)
        return self._names[path]


class ImageVersions:
    """Versions of tasks that run in containers: the image holds the sources, the environment and the user's modules."""

    def __init__(self, workspace: Workspace, image: str) -> None:
        """Prepares.

        Args:
            workspace: Its local state is mounted into containers.
            image: The image's name by its content.
        """
        self._home = workspace.home
        self._image = image
        self._index = FileIndex()
        self._objects: dict[str, str] = {}

    def of(self, command: Sequence[str], parameters: Mapping[str, Any]) -> TaskVersion:
        """Returns the version of a task, as `Versions` has it: texts that no image holds count beside the image."""
        self._index.refresh()
        closure = ImportClosure(ModuleFinder((), self._home), self._index)
        named = ParameterReader(self._home, closure, self._objects).read(parameters)
        outside = {str(path): self._index.digest(path) for path in named.files | named.modules}
        return TaskVersion(files={**outside, **named.objects}, environment={"image": self._image})


def _roots(root: Path) -> list[Path]:
    """Returns where a task looks for modules that no lock file names."""
    further = [Path(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    return [root, *(path for path in further if "site-packages" not in path.parts and path.resolve() != root.resolve())]


def _library(python: Path) -> Path:
    """Returns the folder that `kfp_ct` lies in for tasks: where it is installed, else where this one is."""
    installed = [folder for folder in locked_environment.site_packages(python) if (folder / LIBRARY).is_dir()]
    return installed[0] if installed else Path(kfp_ct.__path__[0]).parent
