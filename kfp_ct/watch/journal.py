"""Append-only files of events, one JSON line per event, that survive a crash."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files, redaction


def append(path: Path, event: dict[str, Any]) -> None:
    """Appends an event; it is on disk when this returns."""
    with atomic_files.writing_to("the triggers' history", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            # A line that a crash cut off stays a line of its own.
            torn = file.tell() > 0 and _last_byte(file) != b"\n"
            file.write((b"\n" if torn else b"") + json.dumps(redaction.redact_tree(event)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """Returns all events, oldest first; a line that was cut off is skipped."""
    found = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    last: bytes = file.read(1)
    return last
