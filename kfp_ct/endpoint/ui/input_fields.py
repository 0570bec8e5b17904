"""Fields for a pipeline's inputs, and what a person wrote into them."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.endpoint.ui.package_inputs import Input

PREFIX = "input."
_LONGEST_LINE = 80
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "LIST": list, "STRUCT": dict,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a form.

    Attributes:
        name: What the form calls it.
        label: What a person sees.
        value: What stands in it.
        kind: What is expected, in words; empty where the label says it.
        control: `line`, `text` (of several lines), or `choice`.
        options: Of a choice: pairs of a value and a text.
        required: Whether it must be filled in.
        help: A sentence below it.
        problem: What is wrong with its value.
    """

    name: str
    label: str
    value: str
    kind: str = ""
    control: str = "line"
    options: Sequence[tuple[str, str]] = ()
    required: bool = False
    help: str = ""
    problem: str = ""

    @property
    def rows(self) -> int:
        """How many lines a text field has."""
        return min(max(self.value.count("\n") + 1, 2), 12)


def fields(inputs: Sequence[Input], filled: Mapping[str, str], problems: Mapping[str, str]) -> list[Field]:
    """Makes a field for each input.

    Args:
        inputs: The pipeline's inputs.
        filled: What was written before, by field name.
        problems: What is wrong with it, by field name.
    """
    named = [(each, PREFIX + each.name) for each in inputs]
    return [_field(each, filled.get(name), problems.get(name, "")) for each, name in named]


def read(inputs: Sequence[Input], form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads a form; returns the values that were given by input, and what is wrong with the others by field.

    An input left at its default is left to the pipeline, so that a schedule follows the pipeline's defaults.
    """
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for each in inputs:
        # Browsers end the lines of a text field with both.
        text = form.get(PREFIX + each.name, default_text(each)).replace("\r\n", "\n")
        if each.type != "STRING":
            text = text.strip()
        if not each.required and (text == default_text(each) or (not text and each.type != "STRING")):
            continue
        try:
            values[each.name] = _value(each, text)
        except ValueError as error:
            problems[PREFIX + each.name] = str(error)
    return values, problems


def default_text(each: Input) -> str:
    """Returns an input's default value as it stands in a form."""
    return "" if each.default is None else as_text(each.default)


def as_text(value: Any) -> str:
    """Returns a value as it stands in a form."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=1 if isinstance(value, dict | list) else None, ensure_ascii=False)


def _field(each: Input, filled: str | None, problem: str) -> Field:
    value = default_text(each) if filled is None else filled
    # A field of one line would drop the ends of the lines.
    long = len(value) > _LONGEST_LINE or "\n" in value
    control = "text" if each.type in ("LIST", "STRUCT") or (each.type == "STRING" and long) else "line"
    options: Sequence[tuple[str, str]] = ()
    if each.type == "BOOLEAN":
        control, options = "choice", [("true", "yes"), ("false", "no")]
        if not value:
            options = [("", "–"), *options]
    return Field(PREFIX + each.name, each.name, value, each.kind, control, options, each.required, each.help, problem)


def _value(each: Input, text: str) -> Any:
    if not text.strip() and (each.required or each.type != "STRING"):
        raise ValueError("A value is required.")
    if each.type == "STRING":
        return text
    if "[[" in text and each.type in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        raise ValueError("Expressions such as [[Index]] are for texts only.")
    if each.type == "BOOLEAN":
        return text == "true"
    return _json_value(each, text)


def _json_value(each: Input, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Not a {each.kind}: {error}.") from error
    wrong = not isinstance(value, _JSON_TYPES[each.type]) or isinstance(value, bool)
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"Not a {each.kind}.")
    return value
