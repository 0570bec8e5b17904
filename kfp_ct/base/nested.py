"""Walks over nested settings: maps and lists of maps, lists and values."""

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]


def entries(value: Any) -> list[tuple[Any, Any]]:
    """Returns what a map or a list holds, by key or by place; nothing of any other value."""
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yields every text in a value with its path."""
    if isinstance(value, str):
        yield path, value
    for key, each in entries(value):
        yield from texts(each, (*path, key))
