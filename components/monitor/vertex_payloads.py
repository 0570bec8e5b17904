"""What Vertex AI logs of a request, `request_payload` and `response_payload`, as rows of values and as columns.

Each payload is JSON: one text for each instance and prediction, or one text that is the whole body. Values become what
the prediction service's own log has: numbers are int64 or float32, empty texts and NaN are missing, tensors lists.
"""

import base64
import binascii
import collections
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

INSTANCES, PREDICTIONS = "instances", "predictions"
# What a value is called that comes without a name: a model of one input or output takes and gives bare values.
NAMELESS = {INSTANCES: "instance", PREDICTIONS: "prediction"}
_BESIDE = {
    INSTANCES: {"parameters", "signature_name"},
    PREDICTIONS: {"deployedModelId", "model", "modelVersionId", "modelDisplayName", "metadata"},
}
INT, FLOAT, TEXT, BYTES = "int", "float", "text", "bytes"
_NUMBERS = (INT, FLOAT)
_TYPES = {INT: pa.int64(), FLOAT: pa.float32(), TEXT: pa.string(), BYTES: pa.binary()}
_LARGEST = 2**63
_BASE64 = "b64"

Row = Mapping[str, Any]


class PayloadError(ValueError):
    """A payload that cannot be read: which, and why."""


class Form(NamedTuple):
    """How a column's values are: one a row or a list of them, numbers or texts."""

    is_list: bool
    is_number: bool


# Most values are of these types, and there are millions.
_PLAIN = {bool: INT, float: FLOAT, str: TEXT}
_SINGLE = {kind: Form(False, kind in _NUMBERS) for kind in _TYPES}


@dataclasses.dataclass
class Column:
    """What was seen of a column's values: the forms and how often each was there, and the kinds in each."""

    forms: collections.Counter[Form] = dataclasses.field(default_factory=collections.Counter)
    kinds: dict[Form, set[str]] = dataclasses.field(default_factory=dict)
    has_empty_list: bool = False

    def see(self, value: Any) -> None:
        """Counts a value."""
        if value is None:
            return
        kind = _PLAIN.get(type(value), "")
        kinds = {kind} if kind else kinds_of(value)
        if kinds:
            form = _SINGLE[kind] if kind else _form(value, kinds)
            self.forms[form] += 1
            self.kinds.setdefault(form, set()).update(kinds)
        elif isinstance(value, list):
            self.has_empty_list = True

    @property
    def is_mixed(self) -> bool:
        """Whether some value may have another form than most."""
        return len(self.forms) > 1 or (self.has_empty_list and not self.form.is_list)

    @property
    def form(self) -> Form:
        """The form that most values have; a single text where there is no value."""
        return max(self.forms, key=lambda form: (self.forms[form], form), default=Form(False, False))

    @property
    def kind(self) -> str:
        """The kind that holds all values of that form."""
        found = self.kinds.get(self.form, set())
        return next((kind for kind in (BYTES, FLOAT, TEXT, INT) if kind in found), TEXT)

    def fits(self, value: Any) -> bool:
        """Whether a value has the form that most have."""
        if value is None:
            return True
        kinds = kinds_of(value)
        return _form(value, kinds) == self.form if kinds else isinstance(value, list) == self.form.is_list

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Returns values as a column."""
        kind = self.kind
        if not self.form.is_list and kind == FLOAT:
            numbers = [None if value is None else float(value) for value in values]
            return pa.array(numbers, pa.float32(), from_pandas=True)  # NaN is missing
        if not self.form.is_list:
            return pa.array([_single(value, kind) for value in values], _TYPES[kind])
        lists = [None if value is None else [_single(each, kind) for each in flat(value)] for value in values]
        return pa.array(lists, pa.list_(_TYPES[kind]))


def rows(payload: Sequence[str] | None, what: str) -> list[Row]:
    """Returns the instances or predictions of a payload, one a row.

    Args:
        payload: What is logged.
        what: `INSTANCES` or `PREDICTIONS`.

    Raises:
        PayloadError: It is no JSON, or holds none.
    """
    values = [_parsed(text, what) for text in payload or ()]
    if len(values) == 1 and isinstance(values[0], dict) and _is_body(values[0], what):
        values = values[0][what]
    if not values:
        raise PayloadError(f"it has no {what}")
    found = [value if _is_row(value) else {NAMELESS[what]: value} for value in values]
    for value in (each for row in found for each in row.values()):
        if type(value) not in _PLAIN:
            kinds_of(value)
    return found


def kinds_of(value: Any) -> set[str]:
    """Returns the kinds of a value, or of all in a list.

    Raises:
        PayloadError: It is an object, or a list holds numbers and texts.
    """
    kinds = {kind for each in flat(value) if (kind := _kind(each))}
    if len({kind in _NUMBERS for kind in kinds}) > 1:
        raise PayloadError("a list holds numbers and texts")
    return kinds


def flat(value: Any) -> list[Any]:
    """Returns a value, or all in a list of lists, one after the other."""
    if not isinstance(value, list):
        return [value]
    return [each for part in value for each in flat(part)]


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise PayloadError(f"its {what} are no JSON: {error}") from error


def _is_body(value: Mapping[str, Any], what: str) -> bool:
    return isinstance(value.get(what), list) and value.keys() <= {what, *_BESIDE[what]}


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and not _is_bytes(value)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {_BASE64}


def _kind(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):  # a boolean, too, is logged as a number
        return INT if abs(value) < _LARGEST else FLOAT
    if isinstance(value, float):
        return FLOAT
    if isinstance(value, str):
        return TEXT
    if _is_bytes(value):
        _bytes(value)
        return BYTES
    raise PayloadError("a value is an object")


def _form(value: Any, kinds: set[str]) -> Form:
    return Form(isinstance(value, list), bool(kinds & set(_NUMBERS)))


def _single(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == FLOAT:
        return None if math.isnan(number := float(value)) else number
    if kind == BYTES:
        return (_bytes(value) if isinstance(value, dict) else value.encode()) or None
    return (value or None) if kind == TEXT else int(value)


def _bytes(value: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(value[_BASE64], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise PayloadError(f"a value is no base64: {error}") from error
