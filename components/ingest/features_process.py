"""Reads feature views for who has no DuckDB: `python -m kfp_ct.components.ingest.features_process`.

Reads one JSON object from standard input: `do` (materialize or skew), `sources`, `max_bad_fraction` and `file` as
ingest has them, and what the function of that name takes besides; prints one: what was found, or `error`.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import CtError, DataError
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest import feature_store, query, settings, sources
from kfp_ct.components.ingest.warehouse import Warehouse
from kfp_ct.data.feature_views import online_store, skew, views
from kfp_ct.data.feature_views.online_store import Span
from kfp_ct.data.feature_views.views import Loaded
from kfp_ct.data.tables import database
from kfp_ct.serving.request_files import METADATA

_SOURCES = dict[str, settings.NamedOrUri]


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what was found, or why nothing was."""
    try:
        return {"materialize": materialize, "skew": measure_skew}[asked["do"]](asked)
    except CtError as error:
        return {"error": str(error)}


def materialize(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Brings the store at `online` up to the rows known after `start` (null: all before) and not after `end`."""
    with _loaded(asked) as (connection, loaded, zone):
        span = Span(asked["start"], asked["end"])
        return {"views": online_store.materialize(connection, loaded, zone, Path(asked["online"]), span)}


def measure_skew(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compares what the service answered by (a model's `log`, of a `signature`) with what was known then."""
    files = _of_signature(Path(asked["log"]), asked["signature"])
    if not files:
        raise DataError(
            f"no request for {asked['signature']} is logged in {asked['log']}\n"
            "expected: files that the service wrote\nfix: ct serve with --features and --request-log, and ask it"
        )
    with _loaded(asked) as (connection, loaded, zone):
        return {"views": skew.measure(connection, loaded, zone, files)}


def _of_signature(folder: Path, signature: str) -> list[str]:
    """Returns the files of a model's log, of all versions, that hold answers of a signature."""
    found = []
    for path in sorted(folder.glob("[0-9]*/[!.]*.parquet")):
        metadata = pq.read_metadata(path)
        said = json.loads((metadata.metadata or {}).get(METADATA, b"{}"))
        if metadata.num_rows and said.get("signature") == signature:
            found.append(str(path))
    return found


@contextlib.contextmanager
def _loaded(asked: Mapping[str, Any]) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Loaded], str]]:
    """Reads the sources, and runs the views' queries over them."""
    defined = feature_store.read(asked["file"])
    given = setting_problems.read(_SOURCES, asked["sources"], "sources")
    with tempfile.TemporaryDirectory() as scratch, database.open_database(Path(scratch)) as connection:
        root, warehouse = Path(scratch), Warehouse(Access(), query.parse_window("", ""))
        named = sources.named(given)
        found = {each.name: sources.load(connection, each, root, warehouse) for each in named}
        sources.require_readable(connection, found, asked["max_bad_fraction"], root)
        yield connection, views.load(connection, defined, asked["file"]), defined.time_zone


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
