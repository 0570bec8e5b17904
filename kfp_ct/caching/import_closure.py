"""The import closure of modules: every file of the project's own that running them may read or execute."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kfp_ct.caching.file_index import FileIndex
from kfp_ct.caching.module_finder import LIBRARY, Module, ModuleFinder
from kfp_ct.caching.source_facts import Facts, Import, read_facts
from kfp_ct.caching.template_closure import RENDERER, TemplateClosure

# They import what a task's parameters name, and those modules are counted by that name.
_IMPORT_WHAT_IS_NAMED = ("kfp_ct.data.user_code",)
# Where a project's code is: all of it counts for a module that imports by a name made at run time.
_OWN_PACKAGES = ("components", "pipelines", LIBRARY)
_VOLATILE = ("/proc/", "/sys/", "/dev/")


@dataclasses.dataclass(frozen=True)
class _Start:
    """A module to follow, and the folder beside the roots that its imports may be found in."""

    module: Module
    beside: Path | None


class ImportClosure:
    """Follows imports over the files of one project."""

    def __init__(self, finder: ModuleFinder, index: FileIndex) -> None:
        self._finder = finder
        self._index = index
        self._of_module: dict[str, set[Path]] = {}
        self._templates = TemplateClosure(finder)
        self._edges: dict[tuple[str, str, Path | None], tuple[list[_Start], list[Path]]] = {}

    def of_module(self, name: str) -> set[Path]:
        """Returns the files of a module, of its packages and of all it imports; none if it is not ours."""
        if name not in self._of_module:
            self._of_module[name] = self._follow(self._with_packages(name, None))
        return self._of_module[name]

    def of_file(self, file: Path) -> set[Path]:
        """Returns the files of a module that is loaded by its path: its neighbours can be imported by their names."""
        return self._follow([_by_path(file)])

    def of_source(self, text: str, root: Path) -> set[Path]:
        """Returns the files that a piece of Python source imports.

        Args:
            text: The source.
            root: Folder that it is run in.
        """
        nowhere = Module("", root / "task.py", root)
        starts, data = self._reached(nowhere, read_facts(text, root / "task.py"), None)
        return self._follow(starts) | set(data)

    def _follow(self, starts: Iterable[_Start]) -> set[Path]:
        files: set[Path] = set()
        waiting, seen = list(starts), set()
        while waiting:
            start = waiting.pop()
            key = (start.module.name, str(start.module.file or start.module.folder), start.beside)
            if key in seen:
                continue
            seen.add(key)
            if start.module.file is None:
                continue
            files.add(start.module.file)
            if key not in self._edges:
                facts = self._facts(start.module)
                self._edges[key] = self._reached(start.module, facts, start.beside)
            further, data = self._edges[key]
            files.update(data)
            waiting += further
        return files

    def _facts(self, module: Module) -> Facts:
        return self._index.facts(module.file) if module.file and module.file.suffix == ".py" else Facts()

    def _reached(self, module: Module, facts: Facts, beside: Path | None) -> tuple[list[_Start], list[Path]]:
        """Returns the modules and the data files that one file leads to."""
        starts = [start for each in facts.imports for start in self._imported(each, module, beside)]
        for name in facts.mentions:
            starts += self._started(name, beside)
        data: list[Path] = []
        for path in self._literal_paths(module, facts):
            if path.suffix == ".py":
                starts.append(_by_path(path))
            data.append(path)
        if module.name != RENDERER:
            data += [file for each in facts.files for file in self._files(Path(each), module)]
            data += self._templates.whole() if self._renders_anything(facts) else self._templates.of(facts.literals)
        if facts.package_data:
            packages = [found for name in (*facts.mentions, module.package) if (found := self._finder.find(name))]
            data += [file for package in packages for file in _files(package.folder)]
        if facts.unknown and module.name not in _IMPORT_WHAT_IS_NAMED:
            starts += self._everything(module)
        return starts, data

    def _renders_anything(self, facts: Facts) -> bool:
        """Whether a module renders templates of the library by names that nobody can tell."""
        names = {name for each in facts.imports for name in (each.module, *(f"{each.module}.{n}" for n in each.names))}
        return facts.renders_unknown and RENDERER in names

    def _imported(self, each: Import, module: Module, beside: Path | None) -> Iterator[_Start]:
        name = _absolute(each, module)
        yield from self._with_packages(name, beside)
        package = self._finder.find(name, beside) if name else None
        if package is None or not package.is_package:
            return
        for imported in each.names:
            if imported == "*":
                yield from (_Start(below, beside) for below in self._finder.below(package))
            else:
                yield from self._with_packages(f"{name}.{imported}", beside)

    def _started(self, name: str, beside: Path | None) -> Iterator[_Start]:
        """Follows a module that is named in a string, which `python -m` may start."""
        yield from self._with_packages(name, beside)
        yield from self._with_packages(f"{name}.__main__", beside)

    def _with_packages(self, name: str, beside: Path | None) -> list[_Start]:
        """Returns the longest beginning of a dotted name that is a module, after the packages it lies in."""
        parts = name.split(".") if name else []
        names = [".".join(parts[: end + 1]) for end in range(len(parts))]
        found = [self._finder.find(each, beside) for each in names]
        return [_Start(module, beside) for module in found if module is not None]

    def _everything(self, module: Module) -> Iterator[_Start]:
        """Returns all modules that a file may import whose imports cannot be told: its package's, and the project's."""
        tops = {module.name.partition(".")[0], *_OWN_PACKAGES} - {""}
        for top in sorted(tops):
            package = self._finder.find(top)
            if package is not None:
                yield from self._whole(package)
        if not module.name:
            yield from (_by_path(file) for file in sorted(module.folder.glob("*.py")))

    def _whole(self, package: Module) -> Iterator[_Start]:
        yield _Start(package, None)
        if package.is_package and package.folder.is_dir():
            for below in self._finder.below(package):
                yield from self._whole(below)

    def _literal_paths(self, module: Module, facts: Facts) -> Iterator[Path]:
        """Yields the files that a string of the module names, from its own folder or from where tasks run."""
        # The library reads nothing of a repository that it is not given the name of.
        roots = () if module.package.partition(".")[0] == LIBRARY else self._finder.roots
        for text in facts.literals:
            if text.startswith("/"):
                if not text.startswith(_VOLATILE) and Path(text).is_file():
                    yield Path(text)
                continue
            for base in (module.folder, *roots):
                path = Path(os.path.normpath(base / text))
                if path.is_file():
                    yield path
                elif path.is_dir() and self._is_inside(path):
                    yield from _files(path)

    def _files(self, path: Path, module: Module) -> list[Path]:
        """Returns what a module finds by `__file__`; of the whole repository only the folders of code."""
        if not any(path == root or path in root.parents for root in self._finder.roots):
            return _files(path)
        tops = [self._finder.find(top) for top in {module.name.partition(".")[0], *_OWN_PACKAGES} - {""}]
        return [file for top in tops if top is not None for file in _files(top.folder)]

    def _is_inside(self, folder: Path) -> bool:
        """Whether a folder is one of the project's, not the project or what it lies in."""
        return any(root in folder.parents for root in self._finder.roots)


def _by_path(file: Path) -> _Start:
    return _Start(Module("", file, file.parent), file.parent)


def _absolute(each: Import, module: Module) -> str:
    """Returns the full name of what an import names."""
    if not each.level:
        return each.module
    parts = module.package.split(".") if module.package else []
    kept = parts[: len(parts) - each.level + 1]
    return ".".join([*kept, each.module] if each.module else kept) if len(parts) >= each.level else ""


def _files(path: Path) -> list[Path]:
    """Returns a file, or the data files of a folder and of all below it: modules count by being imported."""
    if path.is_file():
        return [path]
    found = []
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith(".") and name != "__pycache__")
        found += [Path(folder, file) for file in sorted(files) if not file.endswith((".py", ".pyc"))]
    return found
