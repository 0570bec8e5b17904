"""The leak check: nothing that is to be in one split only is in two."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import json
from collections.abc import Mapping
from typing import Any

import duckdb

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.ingest import shards, splits
from kfp_ct.components.ingest.settings import Split
from kfp_ct.data.layouts import EVAL, TRAIN
from kfp_ct.data.tables import database
from kfp_ct.data.tables.column_types import Stored

EXAMPLES = 5


def check(connection: duckdb.DuckDBPyConnection, split: Split, columns: Mapping[str, Stored]) -> dict[str, Any]:
    """Examines the split rows in `ct.examples`: no key in two splits, and no time to train on after one to evaluate on.

    Returns:
        What was examined: the key's columns, how many keys, and the column of times.

    Raises:
        ConfigurationError: A column of the key or of the time is not among the written ones.
        DataError: A key or a time is on both sides, or no row has a key or a time to look at.
    """
    key, time = splits.keys(split), splits.time(split)
    for field, names in (("keys", key), ("time", [time] if time else [])):
        if missing := [name for name in names if name not in columns]:
            raise ConfigurationError(
                f"split.{field} names {', '.join(missing)}, which is not in the examples\n"
                f"expected: columns that the query selects: {', '.join(columns)}\n"
                f"fix: select it, or correct split.{field}"
            )
    own = shards.own_names(columns)
    examined = _check_keys(connection, {name: own[name] for name in key}) if key else 0
    if time:
        _check_times(connection, time, own[time], columns[time].kind)
    return {"keys": list(key), "keys_examined": examined, "time": time}


def _check_keys(connection: duckdb.DuckDBPyConnection, keys: Mapping[str, str]) -> int:
    """Returns how many keys there are; a row without any part of a key has none."""
    names = ", ".join(keys.values())
    present = " OR ".join(f"{name} IS NOT NULL" for name in keys.values())
    grouped = (
        f"(SELECT {names}, count(DISTINCT ct_split) AS ct_splits FROM ct.examples WHERE {present} GROUP BY {names})"
    )
    examined, leaked = database.row(connection, f"SELECT count(*), count(*) FILTER (ct_splits > 1) FROM {grouped}")
    if not examined:
        raise DataError(
            f"the leak check has nothing to look at: {', '.join(keys)} is missing in every row\n"
            "expected: a key in at least one row\nfix: correct split.keys, or how the query makes the key"
        )
    if leaked:
        found = database.rows(
            connection, f"SELECT {names} FROM {grouped} WHERE ct_splits > 1 ORDER BY ALL LIMIT {EXAMPLES}"
        )
        raise DataError(
            f"{leaked:,} of {examined:,} keys ({', '.join(keys)}) are in both splits: "
            f"{', '.join('/'.join(map(str, values)) for values in found)}{', …' if leaked > EXAMPLES else ''}\n"
            "expected: all rows of a key in one split, or the model is judged on what it was trained on\n"
            f'fix: split by {{"method": "group", "columns": {json.dumps(list(keys))}}}, or leave them out in the query'
        )
    return examined


def _check_times(connection: duckdb.DuckDBPyConnection, time: str, name: str, kind: str) -> None:
    # As text, an instant with fractions of a second would come before the same one without.
    instant = f"TRY_CAST({name} AS TIMESTAMP)" if kind == "string" else name
    last, first, without = database.row(
        connection,
        f"SELECT max({instant}) FILTER (ct_split = '{TRAIN}'), min({instant}) FILTER (ct_split = '{EVAL}'),"
        f" count(*) FILTER ({instant} IS NULL) FROM ct.examples",
    )
    if without or last is None or first is None:
        raise DataError(
            f"the leak check cannot look at {without:,} rows: their {time} is missing or no instant\n"
            "expected: an instant in every row\nfix: correct the split, or how the query makes the time"
        )
    if last >= first:
        (rows,) = database.row(
            connection, f"SELECT count(*) FROM ct.examples WHERE ct_split = '{TRAIN}' AND {instant} >= ?", [first]
        )
        raise DataError(
            f"{rows:,} rows to train on are not before those to evaluate on: "
            f"{time} is up to {last} in {TRAIN}, and from {first} in {EVAL}\n"
            f"expected: every instant of {TRAIN} before every one of {EVAL}, or the model is judged on its past\n"
            "fix: split by time, or correct how the query names the splits"
        )
