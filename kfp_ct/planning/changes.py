"""What a target has and what a project wants, as a list of changes with old and new values."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CREATE, UPDATE, DELETE = ACTIONS = ("create", "update", "delete")
_ABSENT = object()


@dataclasses.dataclass(frozen=True)
class Field:
    """A value that a change sets, changes or removes.

    Attributes:
        action: create, update or delete.
        path: Where it is, with dots: serving.release.max_wait.
        old: What the target has; None where it has nothing.
        new: What it will have; None where it will have nothing.
    """

    action: str
    path: str
    old: Any = None
    new: Any = None


@dataclasses.dataclass(frozen=True)
class Change:
    """What becomes of one thing on a target.

    Attributes:
        action: create, update or delete.
        kind: pipeline, version, release policy, served model, schedule, triggers, notices.
        name: Which one.
        why: A sentence for people; empty where the fields say all.
    """

    action: str
    kind: str
    name: str
    fields: tuple[Field, ...] = ()
    why: str = ""


def compare(old: Any, new: Any) -> tuple[Field, ...]:
    """Returns the fields in which two trees of JSON differ, by their paths; entries of lists go by their `name`."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    paths = sorted({*before, *after})
    return tuple(
        found for path in paths if (found := _field(path, before.get(path, _ABSENT), after.get(path, _ABSENT)))
    )


def _field(path: str, old: Any, new: Any) -> Field | None:
    if old is _ABSENT:
        return Field(CREATE, path, None, new)
    if new is _ABSENT:
        return Field(DELETE, path, old, None)
    return Field(UPDATE, path, old, new) if old != new else None


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    entries = _entries(value)
    if not entries:
        if path:
            yield path, list(value) if isinstance(value, tuple) else value
        return
    for name, each in entries:
        yield from _leaves(each, f"{path}.{name}" if path else str(name))


def _entries(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    named = isinstance(value, Sequence) and not isinstance(value, str) and value
    if named and all(isinstance(each, Mapping) and "name" in each for each in value):
        return [(str(each["name"]), {key: part for key, part in each.items() if key != "name"}) for each in value]
    return []
