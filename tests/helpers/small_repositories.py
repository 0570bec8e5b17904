"""A repository of a few files, written from a mapping, and versions of tasks in it."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from kfp_ct.caching.file_index import FileIndex
from kfp_ct.caching.import_closure import ImportClosure
from kfp_ct.caching.module_finder import ModuleFinder


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Writes files below a folder; their indentation is taken off."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def closure(root: Path) -> ImportClosure:
    """Follows imports in a repository, without this library."""
    return ImportClosure(ModuleFinder([root], root / "no library"), FileIndex())


def named(files: set[Path], root: Path) -> set[str]:
    """Returns the names of those files that are the repository's own."""
    return {path.relative_to(root).as_posix() for path in files if path.is_relative_to(root)}
