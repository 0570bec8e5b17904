"""Hyperparameters as modules read them: plain values, and what KerasTuner's `get_config()` gives, as TFX has it."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

_Hyperparameters = TypeVar("_Hyperparameters")


class HyperparameterValues(dict[str, Any]):
    """A dict of values that `keras_tuner.HyperParameters.from_config` takes as well.

    TFX's Trainer gives modules `HyperParameters.get_config()`, with the keys `space` and `values`. Here both are
    answered when they are asked for, each value being all there is to choose from; they are no entries of the dict.
    """

    def __missing__(self, name: str) -> Any:
        """Returns KerasTuner's space or values.

        Raises:
            KeyError: It is another name.
        """
        if name == "values":
            return dict(self)
        if name == "space":
            return [
                {"class_name": "Fixed", "config": {"name": each, "value": value, "conditions": []}}
                for each, value in self.items()
                if isinstance(value, bool | int | float | str)
            ]
        raise KeyError(name)


def filled(kind: type[_Hyperparameters], values: Mapping[str, Any]) -> _Hyperparameters:
    """Returns a module's dataclass of hyperparameters: the settings' values, and the defaults of the others.

    Args:
        kind: A dataclass whose fields have defaults.
        values: `fn_args.hyperparameters`.

    Raises:
        ValueError: A name that is no field, which would change nothing, or a value of another type than its default.
    """
    fields: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            meant = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(fields)}"
            raise ValueError(f"hyperparameters.{name} is none that this module has: {meant}")
        if not _is_like(fields[name], value):
            raise ValueError(f"hyperparameters.{name} is {value!r}: expected such as {fields[name]!r}")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**given)


def _is_like(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, list | tuple) if isinstance(default, tuple) else isinstance(value, type(default))
