"""Where the endpoint keeps its state, and the state of one of its runs, without opening the endpoint."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

FOLDER, DATABASE = "endpoint", "endpoint.db"


def of_run(home: Path, run: str) -> str:
    """Returns the state of a run; empty if the endpoint has none of that id."""
    database = home / FOLDER / DATABASE
    if not database.is_file():
        return ""
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=30)) as opened:
        row = opened.execute("SELECT state FROM runs WHERE id = ?", (run,)).fetchone()
    return str(row[0]) if row else ""
