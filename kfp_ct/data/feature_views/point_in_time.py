"""Features as they were known at a time: of each entity the newest row that is not later, while it holds."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

from collections.abc import Mapping, Sequence

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data.feature_views.views import Loaded
from kfp_ct.data.tables.column_types import INSTANTS
from kfp_ct.data.tables.quoting import identifier


def joined(sql: str, timestamp: str, views: Sequence[Loaded]) -> str:
    """Returns a query's rows with the features that were known at their timestamps.

    A row later than the timestamp is never taken, one of the very time is; neither is one older than the view's ttl.

    Args:
        sql: A SELECT with the timestamp and all join keys.
        timestamp: Its column.
        views: The views; what they are called differs from the query's columns.
    """
    parts, features = [f"({sql}\n) AS ct_rows"], ["ct_rows.*"]
    moment = f"ct_rows.{identifier(timestamp)}"
    for number, loaded in enumerate(views):
        at = f"ct_view{number}.{identifier(loaded.view.timestamp_field)}"
        keys = [f"ct_rows.{identifier(key)} = ct_view{number}.{identifier(key)}" for key in loaded.keys]
        conditions = " AND ".join([*keys, f"{moment} >= {at}"])
        parts.append(f"ASOF LEFT JOIN {loaded.table} AS ct_view{number} ON {conditions}")
        for feature in loaded.view.features:
            column = f"ct_view{number}.{identifier(feature)}"
            features.append(f"{_while_it_holds(loaded, column, moment, at)} AS {identifier(feature)}")
    return f"SELECT {', '.join(features)} FROM {' '.join(parts)}"


def require_fit(file: str, types: Mapping[str, str], timestamp: str, views: Sequence[Loaded]) -> None:
    """Demands that views can be joined to a query's columns.

    Args:
        file: The query, for people.
        types: Its columns and their SQL types.
        timestamp: The column with the time that features are to be known at.
        views: The views.

    Raises:
        ConfigurationError: A column is missing, is of another type, or has a feature's name.
    """
    if timestamp not in types:
        raise ConfigurationError(
            f"{file} has no column {timestamp}\nexpected: the time that features are to be known at"
        )
    for loaded in views:
        name = loaded.view.name
        if twice := [each for each in loaded.view.features if each.lower() in {column.lower() for column in types}]:
            raise ConfigurationError(
                f"{file} selects {', '.join(twice)}, which the view {name} adds\nfix: leave it out of the query"
            )
        if missing := [key for key in loaded.keys if key not in types]:
            raise ConfigurationError(f"{file} has no column {', '.join(missing)}\nexpected: the join keys of {name}")
        for key in loaded.keys:
            if types[key] != loaded.types[key]:
                raise ConfigurationError(
                    f"{key} is {types[key]} in {file} and {loaded.types[key]} in the view {name}\n"
                    "expected: one type\nfix: cast it in one of the two"
                )
        if (types[timestamp] in INSTANTS) != loaded.has_zone or not types[timestamp].startswith("TIMESTAMP"):
            stamp = loaded.view.timestamp_field
            raise ConfigurationError(
                f"{timestamp} is {types[timestamp]} in {file}, {stamp} is {loaded.types[stamp]} in the view {name}\n"
                "expected: both TIMESTAMP, or both TIMESTAMPTZ\nfix: cast one of them, with its zone"
            )


def _while_it_holds(loaded: Loaded, column: str, moment: str, at: str) -> str:
    if loaded.view.seconds is None:
        return column
    return f"CASE WHEN {at} >= {moment} - to_microseconds({round(loaded.view.seconds * 1e6)}) THEN {column} END"
