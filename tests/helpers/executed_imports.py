"""Holds import closures against what really happens: every import statement of ours that is executed is recorded.

A step is served from the cache as long as the files of its import closure are the same. A file that it imports and that
its closure lacks would be an edit that nobody sees.
"""

import builtins
import functools
import sys
from pathlib import Path

from kfp_ct.caching.file_index import FileIndex
from kfp_ct.caching.import_closure import ImportClosure
from kfp_ct.caching.module_finder import ModuleFinder
from repository import ROOT

OURS = ("kfp_ct.", "pipelines.", "components.")
executed: set[tuple[str, str, str, tuple[str, ...], int]] = set()
_judged: set[tuple[str, str, str, tuple[str, ...], int]] = set()
_import = builtins.__import__


def start():
    builtins.__import__ = _recorded


def stop():
    builtins.__import__ = _import


def _recorded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = globals.get("__name__", "") if globals else ""
    if importer.startswith(OURS):
        executed.add((importer, globals.get("__package__") or "", name, tuple(fromlist or ()), level))
    return _import(name, globals, locals, fromlist, level)


@functools.cache
def _closure() -> ImportClosure:
    return ImportClosure(ModuleFinder([ROOT], ROOT), FileIndex())


@functools.cache
def _files(importer: str) -> set[Path]:
    return {path.resolve() for path in _closure().of_module(importer)}


def unforeseen() -> list[str]:
    """Returns imports by our modules of our modules that the importer's closure lacks, of those since the last call."""
    found = set()
    for importer, package, name, names, level in executed - _judged:
        _judged.add((importer, package, name, names, level))
        files = _files(importer)
        for module in _modules(package, name, names, level):
            file = getattr(sys.modules[module], "__file__", None)
            if module.startswith(OURS) and file and Path(file).resolve() not in files:
                found.add(f"{importer} imports {module}")
    return sorted(found)


def _modules(package: str, name: str, names: tuple[str, ...], level: int) -> set[str]:
    parts = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    absolute = ".".join([*parts, name] if name else parts)
    return {absolute, *(f"{absolute}.{each}" for each in names)} & set(sys.modules)
