"""Skew between training and serving: what the service answered by, against what was known at that time."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literals)

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from kfp_ct.base.errors import DataError
from kfp_ct.data.feature_views import point_in_time
from kfp_ct.data.feature_views.views import Loaded
from kfp_ct.data.tables import database, quoting
from kfp_ct.data.tables.quoting import identifier, literal

# What the prediction service writes for a missing whole number and a missing text.
_MISSING_INT = -(2**63)
# What two numbers may differ by and be the same: a step of float32.
_STEP = 1e-6


def measure(
    connection: duckdb.DuckDBPyConnection, views: Sequence[Loaded], zone: str, files: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Compares logged features with those of training, joined at the times of the requests.

    Args:
        connection: The database with the views' rows.
        views: The views.
        zone: Of timestamps that have none.
        files: Files of the request log, of one signature.

    Returns:
        By view and feature: the `rows`, and the shares that are `different`, `missing_online` or `missing_offline`.

    Raises:
        DataError: The log holds no row, or not the join keys and features of any view.
    """
    log = quoting.paths([Path(file) for file in files])
    connection.execute(f"CREATE TABLE ct.log AS SELECT time, inputs FROM read_parquet({log}, union_by_name = true)")
    logged = {column[0] for column in connection.execute("SELECT unnest(inputs) FROM ct.log LIMIT 0").description}
    if not database.row(connection, "SELECT count(*) FROM ct.log")[0]:
        raise DataError("the request log holds no row\nexpected: answers of the service\nfix: serve with --request-log")
    wanted = [each for each in views if {*each.keys, *each.view.features} <= logged]
    if not wanted:
        raise DataError(
            f"the request log holds {', '.join(sorted(logged))}\nexpected: join keys and features of a view\n"
            "fix: give the model the join keys as inputs"
        )
    return {loaded.view.name: _of_view(connection, loaded, zone) for loaded in wanted}


def _of_view(connection: duckdb.DuckDBPyConnection, loaded: Loaded, zone: str) -> dict[str, Any]:
    moment = "time" if loaded.has_zone else f"time AT TIME ZONE {literal(zone)}"
    keys = ", ".join(
        f"CAST(inputs.{identifier(key)} AS {loaded.types[key]}) AS {identifier(key)}" for key in loaded.keys
    )
    kept = ", ".join(f"inputs.{identifier(name)} AS {identifier(f'ct_online_{name}')}" for name in loaded.view.features)
    rows = f"SELECT {moment} AS ct_time, {keys}, {kept} FROM ct.log"
    joined = point_in_time.joined(rows, "ct_time", [loaded])
    found = {}
    for feature in loaded.view.features:
        online, offline = _value(f"ct_online_{feature}"), _value(feature)
        total, other, no_online, no_offline = database.row(
            connection,
            f"SELECT count(*), count(*) FILTER ({_different(online, offline)}),"
            f" count(*) FILTER ({online} IS NULL AND {offline} IS NOT NULL),"
            f" count(*) FILTER ({online} IS NOT NULL AND {offline} IS NULL) FROM ({joined})",
        )
        shares = {"different": other, "missing_online": no_online, "missing_offline": no_offline}
        found[feature] = {"rows": total} | {name: round(count / total, 6) for name, count in shares.items()}
    return found


def _value(column: str) -> str:
    """Returns a column's value with what stands for missing as null, as text: numbers in float32's digits."""
    name = identifier(column)
    text = f"CAST({name} AS VARCHAR)"
    return f"CASE WHEN {text} IN ('nan', '', '{_MISSING_INT}') THEN NULL ELSE {text} END"


def _different(online: str, offline: str) -> str:
    numbers = f"TRY_CAST({online} AS DOUBLE)", f"TRY_CAST({offline} AS DOUBLE)"
    close = f"abs({numbers[0]} - {numbers[1]}) <= {_STEP} * greatest(1, abs({numbers[0]}))"
    return f"{online} IS NOT NULL AND {offline} IS NOT NULL AND {online} <> {offline} AND NOT coalesce({close}, false)"
