"""Hyperparameters as modules read them: plain values, and what KerasTuner's `get_config()` gives, as TFX has it."""

from typing import Any


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
