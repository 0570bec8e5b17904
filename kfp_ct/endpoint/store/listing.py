"""Lists in the way of KFP's API: a filter, an order, pages.

Source: kubeflow/pipelines, backend/api/v2beta1/filter.proto and backend/src/apiserver/{filter,list}; page tokens are
opaque, and hold on to where a page ended, so that what is created meanwhile shifts nothing.
"""

import base64
import binascii
import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Column, Table
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.store import clock
from kfp_ct.endpoint.store.faults import Fault, invalid

DEFAULT_SIZE, LARGEST_SIZE = 20, 200
_OPERATIONS = {
    1: "EQUALS", 2: "NOT_EQUALS", 3: "GREATER_THAN", 5: "GREATER_THAN_EQUALS", 6: "LESS_THAN", 7: "LESS_THAN_EQUALS",
    8: "IN", 9: "IS_SUBSTRING",
}  # fmt: skip
_TAG = "tags."
_LARGEST = (1 << 63) - 1  # what a column of SQLite, as of KFP's databases, holds
_VALUES = ("string_value", "timestamp_value", "int_value", "long_value")
_LISTS = ("string_values", "int_values", "long_values")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a caller asks of a list."""

    page_token: str = ""
    page_size: int = 0
    sort_by: str = ""
    filter: str = ""


@dataclasses.dataclass(frozen=True)
class Page:
    """One page: its rows, how many there are on all pages, and the token of the next one."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    next_token: str


@dataclasses.dataclass(frozen=True)
class Listed:
    """A table as it can be listed: columns by the names that callers know, and which of them to fetch."""

    table: Table
    names: Mapping[str, str]
    fetched: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """Returns the column of a caller's name.

        Raises:
            Fault: It has none.
        """
        if name not in self.names:
            raise invalid(f"{name!r} can be neither sorted nor filtered by: expected one of {', '.join(self.names)}")
        return self.table.c[self.names[name]]


def page(connection: Connection, listed: Listed, asked: Asked, *conditions: Any) -> Page:
    """Returns a page of a table's rows that meet the conditions and the caller's filter.

    Raises:
        Fault: The filter, the order, the size or the token is not right.
    """
    size = _size(asked.page_size)
    start = _read_token(asked)
    _check_shapes(asked)
    wanted = [*conditions, *_predicates(listed, start.get("filter", asked.filter))]
    sort_by = start.get("sort_by", asked.sort_by)
    order, descending = _order(listed, sort_by)
    key = listed.table.c.id
    counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(listed.table).where(*wanted)
    total = connection.execute(counted).scalar_one()
    query = sqlalchemy.select(*listed.fetched).where(*wanted)
    if start:
        at = sqlalchemy.tuple_(sqlalchemy.literal(start["value"]), sqlalchemy.literal(start["id"]))
        here = sqlalchemy.tuple_(order, key)
        query = query.where(here < at if descending else here > at)
    query = query.order_by(*(column.desc() if descending else column.asc() for column in (order, key)))
    rows = [dict(row) for row in connection.execute(query.limit(size + 1)).mappings()]
    following = rows[size - 1] if len(rows) > size else None
    token = _token(asked, sort_by, following[order.name], following["id"]) if following else ""
    return Page(rows[:size], total, token)


def _size(asked: int) -> int:
    if asked < 0:
        raise invalid(f"page_size is {asked}: expected 0 (for {DEFAULT_SIZE}) or more")
    return min(asked or DEFAULT_SIZE, LARGEST_SIZE)


def _order(listed: Listed, sort_by: str) -> tuple[Column, bool]:
    # KFP's backend reads it without regard to case.
    name, _, direction = (sort_by.strip().lower() or "created_at").partition(" ")
    if direction.strip().lower() not in ("", "asc", "desc"):
        raise invalid(f"sort_by is {sort_by!r}: expected a field, and desc or asc after it")
    return listed.column(name), direction.strip().lower() == "desc"


def _token(asked: Asked, sort_by: str, value: Any, key: str) -> str:
    content = {"sort_by": sort_by, "filter": _read_token(asked).get("filter", asked.filter), "value": value, "id": key}
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def _read_token(asked: Asked) -> dict[str, Any]:
    if not asked.page_token:
        return {}
    try:
        content = json.loads(base64.urlsafe_b64decode(asked.page_token.encode()))
        right = {name: content[name] for name in ("sort_by", "filter", "value", "id")}
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _not_ours() from error
    # Every column that can be sorted by holds text.
    if not all(_is_text(each) for each in right.values() if each is not None):
        raise _not_ours()
    if any(right[name] is None for name in ("sort_by", "filter", "id")):
        raise _not_ours()
    for name, given in (("sort_by", asked.sort_by), ("filter", asked.filter)):
        if given and given != right[name]:
            raise invalid(f"page_token belongs to a list with another {name}")
    return right


def _not_ours() -> Fault:
    return invalid("page_token is not one that this endpoint gave: list again without it")


def _check_shapes(asked: Asked) -> None:
    for name in ("page_token", "sort_by", "filter"):
        if not _is_text(getattr(asked, name)):
            raise invalid(f"{name} holds characters that are not valid UTF-8")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _encodable(value)


def _encodable(text: str) -> bool:
    """Whether a text can be stored: JSON's escapes can name halves of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _predicates(listed: Listed, text: str) -> list[Any]:
    if not text:
        return []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"filter is not valid JSON: {error}") from error
    predicates = document.get("predicates", []) if isinstance(document, dict) else None
    if not isinstance(predicates, list) or not all(isinstance(each, dict) for each in predicates):
        raise invalid('filter: expected {"predicates": [{"operation": …, "key": …, "string_value": …}]}')
    return [_predicate(listed, {_snake(key): value for key, value in each.items()}) for each in predicates]


def _predicate(listed: Listed, predicate: Mapping[str, Any]) -> Any:
    operation = predicate.get("operation", predicate.get("op"))
    if isinstance(operation, int):
        operation = _OPERATIONS.get(operation)
    if operation not in _OPERATIONS.values():
        raise invalid(f"filter: operation is {operation!r}: expected one of {', '.join(_OPERATIONS.values())}")
    if str(predicate.get("key", "")).startswith(_TAG) and "tags" in listed.table.c:
        return _tagged(listed, predicate, str(operation))
    column = listed.column(str(predicate.get("key", "")))
    time = column.name.endswith("_at")
    read = _moment if time else _stored
    # Times are compared by the second, as KFP keeps them.
    compared: Any = sqlalchemy.func.substr(column, 1, len("2026-01-31T04:30:00")) if time else column
    if operation == "IN":
        return compared.in_([read(value) for value in _many(predicate)])
    value = _one(predicate)
    if operation == "IS_SUBSTRING":
        if time or not isinstance(value, str):
            raise invalid("filter: IS_SUBSTRING compares texts: expected a string_value, and a key that is no time")
        return column.contains(_stored(value), autoescape=True)
    return _compare(str(operation), compared, read(value))


def _tagged(listed: Listed, predicate: Mapping[str, Any], operation: str) -> Any:
    """Compares the value of a tag, as KFP does: a text, for equality only."""
    value, name = predicate.get("string_value"), str(predicate["key"]).removeprefix(_TAG)
    if operation != "EQUALS" or not isinstance(value, str) or not _encodable(name):
        raise invalid("filter: tags are compared by EQUALS with a string_value")
    each = sqlalchemy.func.json_each(listed.table.c.tags).table_valued("key", "value")
    return sqlalchemy.exists(
        sqlalchemy.select(1).select_from(each).where(each.c.key == name, each.c.value == _stored(value))
    )


def _compare(operation: str, column: Any, value: str) -> Any:
    return {
        "EQUALS": column == value,
        "NOT_EQUALS": column != value,
        "GREATER_THAN": column > value,
        "GREATER_THAN_EQUALS": column >= value,
        "LESS_THAN": column < value,
        "LESS_THAN_EQUALS": column <= value,
    }[operation]


def _stored(value: str | int) -> str:
    """Returns a value as a column of text can be compared with."""
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) > _LARGEST) or not _encodable(str(value)):
        raise invalid(f"filter: {str(value)[:40]!a} is not a value of 64 bits or a valid text")
    return str(value)


def _moment(value: str | int) -> str:
    """Reads an instant: RFC 3339, or whole seconds since 1970; returns it as the tables have it, to the second."""
    try:
        if isinstance(value, str):
            when = clock.read_time(value, "filter: the time")
        else:
            when = datetime.datetime.fromtimestamp(value, datetime.UTC)
        return when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError) as error:
        raise invalid(
            f"filter: {str(value)[:40]!a} is not a time: expected such as 2026-01-31T04:30:00Z, or seconds since 1970"
        ) from error


def _one(predicate: Mapping[str, Any]) -> str | int:
    given = [_number(name, predicate[name]) for name in _VALUES if name in predicate]
    if len(given) != 1 or not isinstance(given[0], str | int):
        raise invalid(f"filter: a predicate has one of {', '.join(_VALUES)}")
    return given[0]


def _many(predicate: Mapping[str, Any]) -> list[Any]:
    given = [(name, predicate[name]) for name in _LISTS if name in predicate]
    values = given[0][1].get("values") if len(given) == 1 and isinstance(given[0][1], dict) else None
    if not isinstance(values, list) or not all(isinstance(each, str | int) for each in values):
        raise invalid(f"filter: IN has one of {', '.join(_LISTS)}, with its values")
    return [_number(given[0][0], each) for each in values]


def _number(name: str, value: Any) -> Any:
    """Reads a number that came as a text, as protobuf's JSON writes those of 64 bits."""
    if name.startswith(("int", "long")) and isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value) if len(value) < 25 else _LARGEST + 1
    return value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
