"""Joins the features of a project's feature store to the rows of its query, as they were known at each row's time."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses
from collections.abc import Mapping
from typing import Any

import duckdb

from kfp_ct.base import task_log
from kfp_ct.base.errors import DataError
from kfp_ct.components.ingest import query, shards
from kfp_ct.components.ingest.query import Query
from kfp_ct.components.ingest.settings import Features
from kfp_ct.data import user_code
from kfp_ct.data.feature_views import definitions, point_in_time, views
from kfp_ct.data.feature_views.definitions import Definitions
from kfp_ct.data.tables import database


def read(file: str) -> Definitions:
    """Reads a features.yaml.

    Raises:
        ConfigurationError: It is not there, or does not fit.
    """
    return definitions.parse(user_code.read_text(file, "feature views"))


def join(
    connection: duckdb.DuckDBPyConnection, asked: Features | None, selected: Query
) -> tuple[Query, dict[str, str]]:
    """Returns a query with the features beside its columns, and the names and SQL types of all columns.

    Raises:
        ConfigurationError: Query and views do not fit together.
        DataError: A view has two rows of an entity and time.
    """
    types = query.columns(connection, selected)
    if asked is None:
        return selected, types
    loaded = views.load(connection, read(asked.file), asked.file)
    point_in_time.require_fit(selected.file, types, asked.timestamp, loaded)
    joined = dataclasses.replace(selected, sql=point_in_time.joined(selected.sql, asked.timestamp, loaded))
    return joined, query.columns(connection, joined)


def require_found(
    connection: duckdb.DuckDBPyConnection, asked: Features | None, columns: Mapping[str, Any]
) -> dict[str, dict[str, int]]:
    """Counts the examples that have features of each view.

    Raises:
        DataError: None has: what is learnt from would be missing in every row.
    """
    if asked is None:
        return {}
    names, found = shards.own_names(columns), {}
    for view in read(asked.file).feature_views:
        known = " OR ".join(f"{names[feature]} IS NOT NULL" for feature in view.features)
        total, some = database.row(connection, f"SELECT count(*), count(*) FILTER ({known}) FROM ct.examples")
        if not some:
            raise DataError(
                f"none of {total:,} rows has a feature of the view {view.name}\n"
                f"expected: rows of the same {', '.join(view.entities)} before their {asked.timestamp}\n"
                f"fix: look at join keys, timestamps and ttl in {asked.file}"
            )
        task_log.progress(f"features of {view.name}: {some:,} of {total:,} rows have some")
        found[view.name] = {"rows": total, "found": some}
    return found
