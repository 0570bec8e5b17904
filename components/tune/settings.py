"""The settings of tune."""

from typing import Annotated, ClassVar

from pydantic import Field

from kfp_ct.base.settings import Count, CountOrNone, NamesModule, Settings, Text
from kfp_ct.data.settings import Hyperparameters


class Tuning(Settings):
    """How to search."""

    trials: CountOrNone = Field(0, description="Combinations to try at most; 0 leaves it to the tuner.")
    parallel: Count = Field(1, description="Trials at a time, each in a process of its own if there are several.")
    epochs: CountOrNone = Field(
        0, description="Passes over the rows in each trial; 0 leaves it to the hyperparameters."
    )
    rows: CountOrNone = Field(0, description="Rows of the train split to search on, drawn at random; 0 takes all.")
    objective: str = Field(
        "", description="Metric that the tuner must have as its objective; empty leaves it to the tuner."
    )


class Parameters(Settings):
    """The parameters of tune."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("tuner_fn", with_parameter="tuning")]
    hyperparameters: Hyperparameters
    tuning: Tuning
