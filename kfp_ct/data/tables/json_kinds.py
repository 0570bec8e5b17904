"""What kinds of values a key of JSON objects has, and the one type that all of them have."""

import dataclasses

from kfp_ct.data.tables import value_kinds
from kfp_ct.data.tables.value_kinds import BOOLEAN, FITTING_SHARE, SAID_NULL, TEXT, Guess, Kinds

LIST = "[]"  # the elements' type is found by itself
_ARRAY, _OBJECT, _STRING = "array", "object", "string "
_KEPT_AS_TEXT = (*value_kinds.NUMBERS, BOOLEAN)


def kind(text: str, json_type: str) -> str:
    """Returns an expression that is the kind of a value, by its text and its JSON type; null for null."""
    of_text = value_kinds.kind(text)
    return (
        f"CASE WHEN {json_type} IS NULL THEN NULL WHEN {json_type} = 'ARRAY' THEN '{_ARRAY}'"
        f" WHEN {json_type} = 'OBJECT' THEN '{_OBJECT}'"
        f" ELSE CASE {json_type} WHEN 'VARCHAR' THEN '{_STRING}' ELSE '' END || ({of_text}) END"
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
    for name, count in kinds.counts.items():
        plain = name.removeprefix(_STRING)
        plain = TEXT if plain in (_ARRAY, _OBJECT) or (not bare and plain in _KEPT_AS_TEXT) else plain
        merged[plain] = merged.get(plain, 0) + count
    examples = {name.removeprefix(_STRING): example for name, example in kinds.examples.items()}
    found = value_kinds.guess(Kinds(merged, examples))
    if found.type == "VARCHAR" and kinds(_OBJECT):
        return Guess("JSON")
    # Of strings alone, only those that are dates are more than text.
    fitting, nulls = ((*(names if bare else ()), *_strings(names)) for names in (found.fitting, found.nulls))
    return dataclasses.replace(found, fitting=fitting, nulls=nulls)


def _strings(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_STRING + name for name in kinds)
