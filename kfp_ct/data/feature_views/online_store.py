"""The newest features of each entity as a file of SQLite, which the prediction service looks them up in.

The file is replaced as a whole: a reader has the old one or the new one, and what was killed left the old one.
"""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data.feature_views.views import Loaded
from kfp_ct.data.tables import column_types
from kfp_ct.data.tables.column_types import Stored
from kfp_ct.data.tables.quoting import identifier, literal

_TABLES = """
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, definition TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS online (
    view TEXT, entity TEXT, known REAL NOT NULL, features TEXT NOT NULL, PRIMARY KEY (view, entity)
) WITHOUT ROWID;
"""
# A row that is as new replaces, so that a correction arrives; an older one, of a backfill, does not.
_UPSERT = """
INSERT INTO online VALUES (?, ?, ?, ?) ON CONFLICT (view, entity)
DO UPDATE SET known = excluded.known, features = excluded.features WHERE excluded.known >= online.known
"""
_KEY_KINDS = ("int", "string")


@dataclasses.dataclass(frozen=True)
class Span:
    """Which rows are taken: known after `start` and not after `end`, seconds since 1970; None for all before."""

    start: float | None
    end: float


def materialize(
    connection: duckdb.DuckDBPyConnection, views: Sequence[Loaded], zone: str, path: Path, span: Span
) -> dict[str, dict[str, int]]:
    """Brings a store up to the end of a span.

    Args:
        connection: The database with the views' rows.
        views: The views.
        zone: Of timestamps that have none.
        path: The store; made where it is not there.
        span: Which rows are taken.

    Returns:
        By view: the `entities` with a row in the span, and how many of them were `written`, the others being newer.
    """
    with _replacing(path) as store:
        store.executescript(_TABLES)
        return {loaded.view.name: _write(store, connection, loaded, (zone, span)) for loaded in views}


def known_at(loaded: Loaded, zone: str) -> str:
    """Returns the expression of a view's timestamp in seconds since 1970."""
    stamp = identifier(loaded.view.timestamp_field)
    return f"epoch({stamp if loaded.has_zone else f'{stamp} AT TIME ZONE {literal(zone)}'})"


def _write(
    store: sqlite3.Connection, connection: duckdb.DuckDBPyConnection, loaded: Loaded, of: tuple[str, Span]
) -> dict[str, int]:
    name, (zone, span) = loaded.view.name, of
    columns = {each: _stored(loaded, each) for each in (*loaded.keys, *loaded.view.features)}
    _define(store, loaded, columns)
    moment = known_at(loaded, zone)
    wanted = f"{moment} <= {span.end!r}" + (f" AND {moment} > {span.start!r}" if span.start is not None else "")
    keys = ", ".join(map(identifier, loaded.keys))
    values = ", ".join(column.expression for column in columns.values())
    found = connection.execute(
        f"SELECT {moment}, {values} FROM {loaded.table} WHERE {wanted}"
        f" QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {moment} DESC) = 1"
    )
    entities, before = 0, store.total_changes
    while rows := found.fetchmany(10_000):
        store.executemany(_UPSERT, [_row(name, len(loaded.keys), loaded.view.features, row) for row in rows])
        entities += len(rows)
    return {"entities": entities, "written": store.total_changes - before}


def _row(view: str, keys: int, features: Sequence[str], row: Sequence[Any]) -> tuple[str, str, float, str]:
    known, entity, values = row[0], row[1 : 1 + keys], row[1 + keys :]
    named = dict(zip(features, values, strict=True))
    return view, json.dumps(entity, ensure_ascii=False), known, json.dumps(named, ensure_ascii=False)


def _stored(loaded: Loaded, column: str) -> Stored:
    """Returns how a column is written: as ingest writes it among examples."""
    stored = column_types.stored(column, identifier(column), loaded.types[column])
    if column in loaded.keys and stored.kind not in _KEY_KINDS:
        raise ConfigurationError(
            f"the view {loaded.view.name}: {column} is {loaded.types[column]}\nexpected: whole numbers or text in a "
            "join key\nfix: cast it in the query"
        )
    if stored.kind not in (*_KEY_KINDS, "float"):
        raise ConfigurationError(
            f"the view {loaded.view.name}: {column} is {loaded.types[column]}\nexpected: one number or text a row in a "
            "feature that is looked up\nfix: take it apart in the query"
        )
    return stored


def _define(store: sqlite3.Connection, loaded: Loaded, columns: dict[str, Stored]) -> None:
    """Notes what a view is; of one that was another, what was kept goes."""
    definition = json.dumps({
        "keys": {key: columns[key].kind for key in loaded.keys},
        "features": {feature: columns[feature].kind for feature in loaded.view.features},
        "ttl_seconds": loaded.view.seconds,
    })  # fmt: skip
    name = loaded.view.name
    before = store.execute("SELECT definition FROM views WHERE name = ?", [name]).fetchone()
    if before and before[0] != definition:
        store.execute("DELETE FROM online WHERE view = ?", [name])
    store.execute("INSERT OR REPLACE INTO views VALUES (?, ?)", [name, definition])


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[sqlite3.Connection]:
    """Gives a copy of the store, which takes its place if nothing fails; one writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        partial.unlink(missing_ok=True)
        if path.is_file():
            shutil.copyfile(path, partial)
        with contextlib.closing(sqlite3.connect(partial)) as store:
            yield store
            store.commit()
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
