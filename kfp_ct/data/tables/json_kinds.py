"""What kinds of values a key of JSON objects has, and the one type that all of them have."""

import dataclasses

from kfp_ct.data.tables import value_kinds
from kfp_ct.data.tables.value_kinds import (
    BOOLEAN,
    EXPONENT,
    FITTING_SHARE,
    FRACTION,
    INTEGER,
    LARGE,
    OVERFLOW,
    SAID_NULL,
    TEXT,
    Guess,
    Kinds,
)

LIST = "[]"  # the elements' type is found by itself
_ARRAY, _OBJECT, _STRING = "array", "object", "string "
_WHOLE = "whole"  # 1.2e17 and 5.0: JSON has one kind of number, and they are integers as well as fractions
_KEPT_AS_TEXT = (*value_kinds.NUMBERS, BOOLEAN)


def kind(text: str, json_type: str) -> str:
    """Returns an expression that is the kind of a value, by its text and its JSON type; null for null."""
    of_text = value_kinds.kind(text)
    return (
        f"CASE WHEN {json_type} IS NULL THEN NULL WHEN {json_type} = 'ARRAY' THEN '{_ARRAY}'"
        f" WHEN {json_type} = 'OBJECT' THEN '{_OBJECT}'"
        f" WHEN {json_type} = 'VARCHAR' THEN '{_STRING}' || ({of_text})"
        f" WHEN {json_type} = 'DOUBLE' AND {_is_whole(text)} THEN '{_WHOLE}'"
        f" ELSE replace({of_text}, '{EXPONENT}', '{FRACTION}') END"  # unquoted, 1e30 is no code
    )


def _is_whole(text: str) -> str:
    """Returns a condition: a number with a point or exponent is an integer that 64 bits and a double hold exactly."""
    exact = f"TRY_CAST({text} AS DECIMAL(38, 9))"
    integer = f"TRY_CAST({exact} AS BIGINT)"
    return (
        f"(regexp_matches({text}, '[.eE]') AND NOT starts_with({text}, '-0') AND {exact} = trunc({exact})"
        f" AND TRY_CAST(CAST({integer} AS DOUBLE) AS BIGINT) = {integer})"
    )


def guess(kinds: Kinds) -> Guess:
    """Returns the type that all values have: `LIST` for lists, JSON for objects and the like."""
    values = kinds.values
    if values and kinds(_ARRAY) >= FITTING_SHARE * values:
        return Guess(LIST)
    # A number in quotes is a text, for its author meant it so; but among numbers it is one of them. Dates have no
    # other way to be written.
    bare = any(not name.startswith(_STRING) for name in kinds.counts if name not in (_ARRAY, _OBJECT, SAID_NULL))
    merged: dict[str, int] = {}
    whole = INTEGER if kinds(LARGE) and not kinds(FRACTION, OVERFLOW) else FRACTION
    for name, count in kinds.counts.items():
        plain = whole if name == _WHOLE else name.removeprefix(_STRING)
        plain = TEXT if plain in (_ARRAY, _OBJECT) or (not bare and plain in _KEPT_AS_TEXT) else plain
        merged[plain] = merged.get(plain, 0) + count
    examples = {name.removeprefix(_STRING): example for name, example in kinds.examples.items()}
    found = value_kinds.guess(Kinds(merged, examples))
    if found.type == "VARCHAR" and kinds(_OBJECT):
        return Guess("JSON")
    # Of strings alone, only those that are dates are more than text.
    fitting, nulls = ((*(names if bare else ()), *_strings(names)) for names in (found.fitting, found.nulls))
    also = (_WHOLE,) if whole in fitting else ()
    return dataclasses.replace(found, fitting=(*fitting, *also), nulls=nulls)


def _strings(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_STRING + name for name in kinds)
