"""Whether values fit a package's inputs: known, given where they must be, of KFP's types, and values that JSON has."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.setting_problems import Path, Problem, nearest, shown
from kfp_ct.package import package
from kfp_ct.package.package import Package

_TYPES = {
    "STRING": "a text", "NUMBER_INTEGER": "a whole number", "NUMBER_DOUBLE": "a number", "BOOLEAN": "true or false",
    "LIST": "a list", "STRUCT": "an object",
}  # fmt: skip
_NO_ARTIFACT = (
    " is an artifact, which no run can be given: use the pipeline inside another one, or take the artifact's address "
    "as a text for dsl.importer"
)
_FINAL_STATUS = "TASK_FINAL_STATUS"
_NO_STATUS = (
    " is the final status of a task, which only an exit task is given: make it the exit_task of a dsl.ExitHandler in "
    "another pipeline"
)
# Numbers travel as doubles, which hold every whole number up to here.
_LARGEST_WHOLE = 2**53


def problems(compiled: Package, given: Mapping[str, Any]) -> list[Problem]:
    """Returns everything about values that does not fit the inputs of a package.

    Args:
        compiled: A package.
        given: Values by the inputs' names.
    """
    definitions = package.inputs(compiled)
    found = [_unknown(name, definitions) for name in given if name not in definitions]
    for name, definition in definitions.items():
        kind = definition["parameterType"]
        if name in given:
            # What may be left out may be null, which says the same.
            if given[name] is not None or not (definition.get("isOptional") or "defaultValue" in definition):
                found += of_type(kind, given[name], name)
        elif not definition.get("isOptional") and "defaultValue" not in definition:
            found.append(Problem((name,), f" is missing: expected {_TYPES.get(kind, 'a value')}"))
    return [*found, *not_for_runs(compiled, given)]


def not_for_runs(compiled: Package, given: Mapping[str, Any]) -> list[Problem]:
    """Returns a problem for every input that a package needs and runs are not given: artifacts, and a task's status."""
    artifacts = compiled["root"].get("inputDefinitions", {}).get("artifacts", {})
    found = [Problem((name,), _NO_ARTIFACT) for name, each in artifacts.items() if not each.get("isOptional")]
    # kfp's compiler calls a status optional; the component fails without it.
    status = [name for name, each in package.inputs(compiled).items() if each["parameterType"] == _FINAL_STATUS]
    return [*found, *(Problem((name,), _NO_STATUS) for name in status if name not in given)]


def of_type(kind: str, value: Any, name: str) -> list[Problem]:
    """Returns what is wrong with a value of one of KFP's types."""
    if not _fits(kind, value):
        quoted = "; put it in quotes" if kind == "STRING" and isinstance(value, int | float) else ""
        return [Problem((name,), f" is {shown(value)}: expected {_TYPES[kind]}{quoted}")]
    return list(_not_json(value, (name,)))


def _unknown(name: Any, definitions: Mapping[str, Any]) -> Problem:
    near = nearest(name, sorted(definitions))
    return Problem((str(name),), ": the pipeline has no such input" + (f"; {near}" if near else ""))


def _fits(kind: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "NUMBER_INTEGER":
            # JSON has one kind of number: 5 and 5.0 are the same.
            return number and not (isinstance(value, float) and not value.is_integer())
        case "NUMBER_DOUBLE":
            return number
        case "BOOLEAN":
            return isinstance(value, bool)
        case "LIST":
            return isinstance(value, list)
        case "STRUCT":
            return isinstance(value, dict)
        case _:
            return True


def _not_json(value: Any, path: Path) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(key, str):
                yield from _not_json(each, (*path, key))
            else:
                yield Problem((*path, str(key)), f": the name {shown(key)} is not a text; fix: put it in quotes")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _not_json(each, (*path, number))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, f" is {shown(value)}: expected a finite number")
    elif isinstance(value, int) and not -_LARGEST_WHOLE <= value <= _LARGEST_WHOLE:
        yield Problem(path, f" is {shown(value)}: expected a number that a double holds exactly, up to 2^53")
    elif isinstance(value, str):
        yield from _not_text(value, path)
    elif not isinstance(value, bool | int | float | None):
        yield Problem(path, f" is {shown(value)}: expected a text, a number, true, false, null, a list or an object")


def _not_text(value: str, path: Path) -> Iterator[Problem]:
    if "\0" in value or (not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)):
        yield Problem(path, f" is {shown(value)}: expected a text without the characters U+0000 and U+D800 to U+DFFF")
