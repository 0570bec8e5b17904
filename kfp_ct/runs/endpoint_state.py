"""Where the endpoint keeps its state, and the states of its runs, without opening the endpoint."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

FOLDER, DATABASE = "endpoint", "endpoint.db"


def of_run(home: Path, run: str) -> str:
    """Returns the state of a run; empty if the endpoint has none of that id."""
    return states(home, run).get(run, "")


def states(home: Path, run: str = "") -> dict[str, str]:
    """Returns the states of the endpoint's runs, or of one; empty where there has been no endpoint."""
    where = " WHERE id = ?" if run else ""
    with _opened(home) as opened:
        query = f"SELECT id, state FROM runs{where}"  # noqa: S608 - a constant
        rows = opened.execute(query, (run,) if run else ()).fetchall() if opened else ()
    return {str(key): str(state) for key, state in rows}


def forget(home: Path, run: str) -> bool:
    """Takes a run off the endpoint's list, unless it waits or goes on; says whether it is not there now."""
    with _opened(home) as opened:
        if opened:
            with opened:
                opened.execute("DELETE FROM runs WHERE id = ? AND state IN ('SUCCEEDED', 'FAILED')", (run,))
    return not of_run(home, run)


@contextlib.contextmanager
def _opened(home: Path) -> Iterator[sqlite3.Connection | None]:
    database = home / FOLDER / DATABASE
    if not database.is_file():
        yield None
        return
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True, timeout=30)) as opened:
        yield opened
