"""Digests of files, and what Python files say, kept on disk so that an unchanged file is not read again."""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from kfp_ct.caching import file_expressions, source_facts
from kfp_ct.caching.source_facts import Facts
from kfp_ct.data import layouts

FILE = "files.json"
# A file changed twice within a tick of the file system's clock has one time for both contents.
_SETTLED_NS = 2_000_000_000
_MOST = 20_000


class FileIndex:
    """Answers from the last reading of a file as long as its times, size and inode are the same."""

    def __init__(self, folder: Path | None = None) -> None:
        """Reads what was kept.

        Args:
            folder: Where it is kept; None keeps nothing.
        """
        self._path = folder / FILE if folder else None
        self._reader = _reader_version()
        self._kept: dict[str, dict[str, Any]] = self._load()
        self._checked: dict[str, dict[str, Any]] = {}
        self._changed = False

    def digest(self, path: Path) -> str:
        """Returns a hash of a file's content; of Python code without its comments. Empty if there is no such file."""
        return str(self._entry(path)["digest"])

    def facts(self, path: Path) -> Facts:
        """Returns what a Python file says about other files."""
        entry = self._entry(path)
        if "facts" not in entry:
            text = path.read_text(errors="replace") if path.is_file() else ""
            entry["facts"] = source_facts.read_facts(text, path).to_json()
            self._changed = True
        return Facts.from_json(entry["facts"])

    def refresh(self) -> bool:
        """Looks again at every file that was asked for; returns whether one has changed since."""
        changed = [path for path, entry in self._checked.items() if entry.get("state") != _state(path)]
        for path in changed:
            self._kept[path] = self._checked.pop(path)
        return bool(changed)

    def save(self) -> None:
        """Keeps what was read for the next time; a disk that takes nothing only costs that."""
        if not self._path or not self._changed:
            return
        files = self._checked if len(self._kept) > _MOST else {**self._kept, **self._checked}
        with contextlib.suppress(OSError):
            layouts.write_text(self._path, json.dumps({"reader": self._reader, "files": files}))
        self._changed = False

    def _entry(self, path: Path) -> dict[str, Any]:
        name = str(path)
        if name not in self._checked:
            self._checked[name] = self._current(path, self._kept.get(name))
        return self._checked[name]

    def _current(self, path: Path, kept: dict[str, Any] | None) -> dict[str, Any]:
        state = _state(path)
        if state is None:
            return {"digest": ""}
        if kept and kept.get("state") == state and kept.get("read", 0) > max(state[:2]) + _SETTLED_NS:
            return kept
        self._changed = True
        entry = {"state": state, "read": time.time_ns(), "digest": _digest(path)}
        if kept and kept["digest"] == entry["digest"] and "facts" in kept:
            entry["facts"] = kept["facts"]
        return entry

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            kept = json.loads(self._path.read_text()) if self._path else {}
            return dict(kept["files"]) if kept and kept["reader"] == self._reader else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _state(path: str | Path) -> list[int] | None:
    """Returns what changes when a file does; None if it is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of names that are no Path yet
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def _digest(path: Path) -> str:
    if path.suffix == ".py":
        return source_facts.code_digest(path.read_bytes())[:32]
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _reader_version() -> str:
    """Returns a hash of the code whose answers are kept."""
    sources = (file_expressions.__file__, source_facts.__file__)
    return hashlib.sha256(b"".join(Path(os.fspath(each)).read_bytes() for each in sources)).hexdigest()[:16]
