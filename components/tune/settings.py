"""The settings of tune."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kfp_ct.base.settings import Count, CountOrNone, NamesModule, Settings, Text, matching
from kfp_ct.data.settings import Hyperparameters


class Vizier(Settings):
    """Vertex AI Vizier in place of the tuner's own search; its quotas and prices hold."""

    project: Text = Field(description="Project of Google Cloud.")
    location: Annotated[str, matching(r"^[a-z]+(-[a-z]+)+[0-9]+$", "a region such as europe-west4")] = Field(
        description="Region of the study."
    )
    algorithm: Literal["", "grid_search", "random_search"] = Field(
        "", description="How Vizier searches; empty: its default, Bayesian optimisation."
    )
    study: str = Field("", description="Name of the study; empty: one for each search, by what is searched on what.")
    api_endpoint: str = Field("", description="Address of the API, where it is not the region's.")


class Katib(Settings):
    """A suggestion service of Katib's in place of the tuner's own search; trials run here, as processes of the step."""

    endpoint: Annotated[str, matching(r"^[^\s/:]+:[0-9]+$", "host:port, such as suggestion-tpe:6789")] = Field(
        description="Where the service listens, host:port, without TLS as Katib's are. It serves one search."
    )
    algorithm: Text = Field(description="The algorithm, by Katib's name, such as tpe, cmaes, random or grid.")
    algorithm_settings: dict[Text, str] = Field({}, description="Settings of the algorithm, as texts.")


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
    katib: Katib | None = Field(
        None, description="A suggestion service of Katib's suggests the values; null: the tuner itself."
    )
    vizier: Vizier | None = Field(None, description="Vertex AI Vizier suggests the values; null: the tuner itself.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that two services would suggest."""
        if self.vizier and self.katib:
            yield "katib", "vizier is set too; expected one of the two"


class Parameters(Settings):
    """The parameters of tune."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("tuner_fn", with_parameter="tuning")]
    hyperparameters: Hyperparameters
    tuning: Tuning
