"""Keeps Python from running what a module was before its last edit.

Python takes a module's compiled form as current when the second of the source's last change and its size are those
that it was compiled with (PEP 552). An edit of the same size within the same second is therefore never seen: a step
would run the code of before, and its results would be kept as those of the new code. git meets the same with its
index ("racy git"), and mends it in the same way: what has only just changed is not written down.
"""

import functools
import importlib.util
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

# One second is what Python rounds to; the other covers a file system's coarser clock.
_UNSURE_SECONDS = 2


def never_keep_what_just_changed() -> None:
    """Has this process and its forks keep no compiled form of a module whose source changed within two seconds."""
    write = SourceFileLoader.set_data
    if hasattr(write, "__wrapped__"):
        return

    @functools.wraps(write)
    def write_what_is_settled(self: SourceFileLoader, path: str, *arguments: Any, **options: Any) -> None:
        if not _just_changed(path):
            write(self, path, *arguments, **options)

    SourceFileLoader.set_data = write_what_is_settled  # type: ignore[method-assign]


def _just_changed(compiled: str) -> bool:
    try:
        source = Path(importlib.util.source_from_cache(compiled))
        return time.time() - source.stat().st_mtime < _UNSURE_SECONDS
    except (ValueError, OSError):  # no place of a module's compiled form; a source that is gone
        return False
