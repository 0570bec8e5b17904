"""Sizes of files and folders."""

import os
from pathlib import Path


def size(path: Path) -> int:
    """Returns the bytes of a file, or of all files below a folder; links count nothing."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        with os.scandir(path) as entries:
            return sum(size(Path(entry.path)) for entry in entries)
    except FileNotFoundError:  # it ended meanwhile
        return 0


def last_change(path: Path) -> float:
    """Returns when a folder or a file below it was last changed, in seconds since 1970."""
    return max((each.lstat().st_mtime for each in (path, *path.rglob("*")) if each.exists()), default=0.0)
