"""Feature views as tables of the database that one ingestion works in."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import dataclasses

import duckdb

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data.feature_views.definitions import Definitions, FeatureView
from kfp_ct.data.tables import database
from kfp_ct.data.tables.column_types import INSTANTS
from kfp_ct.data.tables.quoting import identifier

_TIMES = ("TIMESTAMP", *INSTANTS)


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A view whose rows were read.

    Attributes:
        view: Its definition.
        keys: Its join keys.
        table: Where its rows are.
        types: SQL types of its columns.
    """

    view: FeatureView
    keys: tuple[str, ...]
    table: str
    types: dict[str, str]

    @property
    def has_zone(self) -> bool:
        """Whether its timestamps have a time zone."""
        return self.types[self.view.timestamp_field] in INSTANTS


def load(connection: duckdb.DuckDBPyConnection, defined: Definitions, file: str) -> list[Loaded]:
    """Runs the queries of all views over the sources.

    Raises:
        ConfigurationError: A query is not valid, or lacks a column that the view names.
        DataError: Two rows of an entity have the same timestamp: which of them holds would be chance.
    """
    return [_load(connection, view, defined.keys(view), file) for view in defined.feature_views]


def _load(connection: duckdb.DuckDBPyConnection, view: FeatureView, keys: tuple[str, ...], file: str) -> Loaded:
    where, table = f"{file}: {view.name}", f"ct.view_{view.name}"
    columns = (*keys, view.timestamp_field, *view.features)
    selected = ", ".join(map(identifier, columns))
    try:
        statements = connection.extract_statements(view.query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ConfigurationError(f"{where}: its query is not one SELECT\nfix: put earlier steps into WITH clauses")
        plain = statements[0].query.strip().rstrip(";")
        known = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in (*keys, view.timestamp_field))
        connection.execute(f"CREATE TABLE {table} AS SELECT {selected} FROM ({plain}\n) WHERE {known}")
    except duckdb.Error as error:
        raise ConfigurationError(
            f"{where}: its query is not valid: {database.first_line(error)}\n"
            f"expected: a SELECT over the sources with {', '.join(columns)}\nfix: correct the query"
        ) from error
    types = {name: kind for name, kind, *_ in database.rows(connection, f"DESCRIBE {table}")}
    loaded = Loaded(view, keys, table, types)
    if types[view.timestamp_field] not in _TIMES:
        raise ConfigurationError(
            f"{where}: {view.timestamp_field} is {types[view.timestamp_field]}\nexpected: TIMESTAMP or TIMESTAMPTZ\n"
            "fix: cast it in the query"
        )
    _require_one_row_a_time(connection, loaded, where)
    return loaded


def _require_one_row_a_time(connection: duckdb.DuckDBPyConnection, loaded: Loaded, where: str) -> None:
    columns = (*loaded.keys, loaded.view.timestamp_field)
    names = ", ".join(map(identifier, columns))
    twice = database.rows(connection, f"SELECT {names} FROM {loaded.table} GROUP BY ALL HAVING count(*) > 1 LIMIT 1")
    if twice:
        said = ", ".join(f"{name} {value}" for name, value in zip(columns, twice[0], strict=True))
        raise DataError(
            f"{where}: more than one row has {said}\nexpected: one row an entity and time\n"
            "fix: aggregate in the query, or leave all but one out"
        )
