"""What is wrong with settings: everything at once, each with its path, what was given and what is allowed.

The one place that turns pydantic's errors into this project's messages.
"""

import dataclasses
import difflib
import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kfp_ct.base import nested, redaction, settings
from kfp_ct.base.errors import ConfigurationError, listed
from kfp_ct.base.setting_schema import Node, Schema

Path = nested.Path
_SHOWN = 60
_KEY = "[key]"  # how pydantic names the key of an entry, as opposed to its value


@dataclasses.dataclass(frozen=True)
class Problem:
    """One setting that does not fit: where it stands, and what is wrong, in words that go on after its path."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}{self.text}"


def read(kind: Any, value: Any, name: str) -> Any:
    """Returns a value as its description has it.

    Args:
        kind: A model, or any type that pydantic knows.
        value: As a user wrote it, or as KFP hands it over.
        name: What the setting is called; empty where the value is a component's parameters by name.

    Raises:
        ConfigurationError: It does not fit; lists everything that is wrong.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError:
        found = problems(kind, value, (name,) if name else ())
    raise ConfigurationError(
        f"{name or 'a parameter'} does not fit\n{listed(found)}\nfix: correct it in the settings file"
        if len(found) > 1
        else f"{found[0]}\nfix: correct it in the settings file"
    )


def problems(kind: Any, value: Any, path: Path = ()) -> list[Problem]:
    """Returns everything that is wrong with a value; nothing if it fits its description."""
    found = _once(kind, value)
    # What only shows between settings is looked at without those that do not fit by themselves.
    rest = _once(kind, _without(value, [problem.path for problem, _ in found])) if found else []
    found += [(problem, kept) for problem, kept in rest if kept == settings.MISFIT and (problem, kept) not in found]
    return list(dict.fromkeys(Problem((*path, *problem.path), problem.text) for problem, _ in found))


def dotted(path: Path) -> str:
    """Writes a path as users do: `gates.slices[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path)
    return text.removeprefix(".")


def _name(part: str) -> str:
    return part if part.isprintable() else json.dumps(part)


def shown(value: Any) -> str:
    """Writes a value as JSON, cut to a line's length."""
    text = redaction.redact(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def nearest(name: Any, known: Sequence[str]) -> str:
    """Asks for the nearest of some names; empty where none is near."""
    close = difflib.get_close_matches(str(name).lower(), {each.lower(): each for each in known}, n=1)
    return f"did you mean {next(each for each in known if each.lower() == close[0])}?" if close else ""


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@functools.cache
def _schema(kind: Any) -> Schema:
    return Schema(_adapter(kind).json_schema())


def _once(kind: Any, value: Any) -> list[tuple[Problem, str]]:
    """Returns what pydantic finds at once, each with the kind of its error."""
    try:
        _adapter(kind).validate_python(value)
    except ValidationError as error:
        schema = _schema(kind)
        found = error.errors(include_url=False)
        return [(problem, each["type"]) for each in found for problem in _of_error(each, value, schema)]
    return []


def _of_error(error: Any, value: Any, schema: Schema) -> Iterator[Problem]:
    conflicts = error.get("ctx", {}).get("found")
    if conflicts is None:
        yield _problem(error, value, schema)
        return
    path = _walk(error["loc"], value, schema)[0]
    for name, text in conflicts:
        yield Problem((*path, name), f": {text}")


def _problem(error: Any, value: Any, schema: Schema) -> Problem:
    kind, location = error["type"], error["loc"]
    path, given, node, parent = _walk(location, value, schema)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(path, given, schema.resolved(node))
    if kind == "missing":
        return Problem(path, f" is missing: expected {schema.allowed(node)}")
    if kind == "extra_forbidden":
        return Problem(path, _unknown(str(path[-1]), parent.get("properties", {})))
    if kind == settings.MISFIT:
        return Problem(path, f" is {shown(given)}: {error['ctx']['text']}")
    if location[-1:] == (_KEY,) or kind == "invalid_key":
        names = {"type": "string", **node.get("propertyNames", {})}
        return Problem(path, f" cannot be a name: expected {schema.allowed(names)}")
    return Problem(path, f" is {shown(given)}: expected {schema.allowed(node)}{_meant(given, schema.resolved(node))}")


def _unknown(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return " is not a setting: " + (nearest(name, names) or f"expected one of {', '.join(names)}")


def _wrong_tag(path: Path, given: Any, node: Node) -> Problem:
    name, known = node["discriminator"]["propertyName"], list(node["discriminator"]["mapping"])
    tag = given.get(name) if isinstance(given, Mapping) else None
    text = f" is {shown(tag)}" if tag is not None else " is missing"
    near = nearest(tag, known) if tag is not None else ""
    return Problem((*path, name), f"{text}: expected one of {', '.join(known)}{near and f'; {near}'}")


def _meant(given: Any, node: Node) -> str:
    near = nearest(given, [each for each in node.get("enum", ()) if each]) if isinstance(given, str) else ""
    return f"; {near}" if near else ""


def _walk(location: Sequence[Any], value: Any, schema: Schema) -> tuple[Path, Any, Node, Node]:
    """Follows an error's location; returns the path that a user knows, the value there, its node and its parent's."""
    path: list[str | int] = []
    node, parent = schema.root, schema.root
    for part in location:
        if part == _KEY:
            node = parent
            break
        resolved = schema.resolved(node)
        if "discriminator" in resolved and part in resolved["discriminator"]["mapping"]:
            node = schema.resolved({"$ref": resolved["discriminator"]["mapping"][part]})
            continue  # the alternative's name, which stands in no path
        parent = schema.chosen(resolved, value)
        node, value = schema.child(parent, part), _entry(value, part)
        path.append(part)
    return tuple(path), value, node, parent


def _entry(value: Any, key: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list | tuple) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def _without(value: Any, paths: Iterable[Path]) -> Any:
    """Returns a value without what is wrong at these paths; where that is missing, or in a list, without its owner."""
    for path in paths:
        value = _removed(value, list(itertools.takewhile(lambda part: isinstance(part, str), path)))
    return value


def _removed(value: Any, names: Sequence[Any]) -> Any:
    if not isinstance(value, Mapping) or not names:
        return value
    name, *inner = names
    entry = value.get(name)
    if isinstance(entry, Mapping) and inner and inner[0] in entry:
        return {**value, name: _removed(entry, inner)}
    return {key: each for key, each in value.items() if key != name}
