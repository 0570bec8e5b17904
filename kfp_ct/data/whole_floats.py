"""Which whole numbers of a module's hyperparameters are floats: KFP carries every number of a dict as a double.

`epochs: 3` and `learning_rate: 1.0` arrive as 3.0 and 1.0, or as 3 and 1, as the backend has it. Where the settings
write a whole float, an entry beside it says so, and what arrives becomes what was written: the rest are integers.
"""

from collections.abc import Mapping
from typing import Any

# Beside the hyperparameters: the same nesting, with true where there is a float; places in lists are texts.
MARKS = "whole_floats"


def marked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hyperparameters with a note of their whole floats, for the way through KFP; without any, unchanged."""
    plain = {name: value for name, value in values.items() if name != MARKS}
    marks = _marks(plain)
    return {**plain, MARKS: marks} if marks else plain


def restored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hyperparameters as they were written, after the way through KFP."""
    marks = values.get(MARKS)
    found: dict[str, Any] = _restored(
        {name: value for name, value in values.items() if name != MARKS}, marks if isinstance(marks, Mapping) else {}
    )
    return found


def _marks(value: Any) -> Any:
    if isinstance(value, float):
        return value.is_integer()
    found = {str(name): marks for name, each in _items(value) if (marks := _marks(each))}
    return found or False


def _restored(value: Any, marks: Any) -> Any:
    if isinstance(value, Mapping | list):
        of = marks if isinstance(marks, Mapping) else {}
        restored = {name: _restored(each, of.get(str(name))) for name, each in _items(value)}
        return restored if isinstance(value, Mapping) else list(restored.values())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if marks is True:
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []
