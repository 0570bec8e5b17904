"""Finds the files of modules that belong to a project: those of its repository, and of this library."""

import dataclasses
import os
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

LIBRARY = "kfp_ct"
_LONGEST_NAME = 200


@dataclasses.dataclass(frozen=True)
class Module:
    """One module of the project's own.

    Attributes:
        name: Its dotted name; empty for a file that is loaded by path.
        file: Its file; None for a package without `__init__.py`.
        folder: A package's folder; of a module the folder it lies in.
        is_package: Whether modules can lie below it.
    """

    name: str
    file: Path | None
    folder: Path
    is_package: bool = False

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


class ModuleFinder:
    """Finds modules as a task's interpreter would, without importing anything."""

    def __init__(self, roots: Sequence[Path], library: Path) -> None:
        """Prepares; nothing is read.

        Args:
            roots: Folders that modules are looked for in, in their order.
            library: Folder that holds `kfp_ct` where none of the roots does.
        """
        self.roots = tuple(dict.fromkeys(roots))
        self._library = library
        self._found: dict[tuple[str, Path | None], Module | None] = {}

    def find(self, name: str, beside: Path | None = None) -> Module | None:
        """Returns a module of the project; None if it is another's, or there is none of that name.

        Args:
            name: Its dotted name.
            beside: One more folder to look in, before the roots.
        """
        if len(name) > _LONGEST_NAME:  # a file system would refuse it
            return None
        if (name, beside) not in self._found:
            self._found[name, beside] = self._search(name, beside)
        return self._found[name, beside]

    def below(self, package: Module) -> list[Module]:
        """Returns the modules and packages that lie directly in a package."""
        names = {entry.name.partition(".")[0] for entry in os.scandir(package.folder) if _may_be_module(entry)}
        found = (self.find(f"{package.name}.{name}") for name in sorted(names - {"__init__"}))
        return [module for module in found if module is not None]

    def _search(self, name: str, beside: Path | None) -> Module | None:
        parent, _, last = name.rpartition(".")
        if parent:
            package = self.find(parent, beside)
            return _in_folder(package.folder, name, last) if package and package.is_package else None
        folders = [beside, *self.roots] if beside else list(self.roots)
        found = [_in_folder(folder, name, last) for folder in [*folders, *([self._library] if name == LIBRARY else [])]]
        modules = [module for module in found if module is not None]
        # As in Python: a package without __init__.py is one only where nothing else has the name.
        return next((module for module in modules if module.file), modules[0] if modules else None)


def _in_folder(folder: Path, name: str, last: str) -> Module | None:
    package = folder / last
    init = package / "__init__.py"
    if init.is_file():
        return Module(name, init, package, is_package=True)
    for suffix in (".py", *EXTENSION_SUFFIXES):
        file = folder / f"{last}{suffix}"
        if file.is_file():
            return Module(name, file, folder)
    return Module(name, None, package, is_package=True) if package.is_dir() else None


def _may_be_module(entry: "os.DirEntry[str]") -> bool:
    return entry.name.partition(".")[0].isidentifier() and entry.name != "__pycache__"
