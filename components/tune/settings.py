"""What the settings may say about tuning."""

import dataclasses
from typing import Any

from kfp_ct.base.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How to search.

    Attributes:
        trials: Combinations to try at most; 0 leaves it to the tuner.
        parallel: Trials at a time, each in a process of its own if there are several.
        epochs: Passes over the rows in each trial; 0 leaves it to the hyperparameters.
        rows: Rows of the train split to search on, drawn at random; 0 takes all.
        objective: Metric that the tuner must have as its objective; empty leaves it to the tuner.
    """

    trials: int = 0
    parallel: int = 1
    epochs: int = 0
    rows: int = 0
    objective: str = ""


def parse(values: dict[str, Any]) -> Tuning:
    """Reads the settings.

    Raises:
        ConfigurationError: A setting is unknown or out of its range.
    """
    known = {field.name: field for field in dataclasses.fields(Tuning)}
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(f"unknown setting tuning.{name}\nexpected: one of {sorted(known)}")
        if name == "objective":
            if not isinstance(value, str):
                raise ConfigurationError(f"tuning.objective is {value!r}\nexpected: the name of a metric: val_auc")
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"tuning.{name} is {value!r}\nexpected: a whole number, 1 or more")
    return Tuning(**values)
