"""The settings of monitor: what a model's traffic is held to."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base.settings import WHOLE, Count, Fraction, NotNegative, Settings, Text
from kfp_ct.clock import window_settings
from kfp_ct.models import vertex_log_settings
from kfp_ct.models.settings import ModelName
from kfp_ct.models.vertex_log_settings import VertexLog

SKEW, DRIFT, PREDICTIONS, QUALITY, STALENESS = "skew", "drift", "predictions", "quality", "staleness"
Kind = Literal["skew", "drift", "predictions", "quality", "staleness"]
# A feature's share of missing values, among the measures of kfp_ct/data/drift.py.
MISSING = "missing"
FAIL, REPORT = "fail", "report"


class Rules(Settings):
    """When to ask for retraining, and when to raise an alarm that retraining does not fix."""

    retrain_on: Annotated[tuple[Kind, ...], Field(strict=False)] = Field(
        ("skew", "drift", "predictions", "quality", "staleness"),
        description="Which findings ask for retraining; the others are alarms.",
    )
    infinity_norm: Fraction = Field(
        0.1, description="Allowed distance of a categorical feature that the schema gives none."
    )
    jensen_shannon_divergence: Fraction = Field(
        0.1, description="Allowed distance of a numeric feature that the schema gives none."
    )
    missing: Fraction = Field(0.1, description="Allowed change of a feature's share of missing values.")
    predictions: Fraction = Field(
        0.1,
        description="Allowed Jensen-Shannon divergence of the predictions from those of the period before.",
    )
    min_drifted: Count = Field(1, description="So many features must have moved.")
    false_alarm: float = Field(
        0.01,
        ge=1e-9,
        le=0.5,
        description="Probability of any distance alarm in a period of identical traffic, over all features together.",
    )
    min_rows: Count = Field(500, description="Distributions of fewer rows are not judged.")
    max_rows: Count = Field(200_000, description="At most so many rows of a period are read, evenly over its files.")
    min_labelled: Annotated[int, Field(ge=2), WHOLE] = Field(
        500, description="Quality on fewer labelled rows is not judged."
    )
    confidence: float = Field(0.95, ge=0.5, le=0.999999, description="Level of the intervals of quality.")
    max_loss: NotNegative = Field(
        0.02, description="Allowed loss of the primary metric against the baseline metric of the evaluation."
    )
    min_quality: float | None = Field(
        None,
        description="Absolute bound of the primary metric (an upper one where less is better); null for none.",
    )
    min_coverage: Fraction = Field(0.0, description="Alarm if labels are given and fewer of the rows have one.")
    max_age_days: NotNegative = Field(0.0, description="Allowed age of the data the model was trained on; 0 for any.")
    max_p99_ms: NotNegative = Field(0.0, description="Alarm above this latency; 0 for any.")
    max_error_rate: Fraction = Field(0.01, description="Alarm if more of the requests were answered with an error.")
    max_dropped: Fraction = Field(0.01, description="Alarm if more of the sampled requests did not reach the log.")
    signature: str = Field("serving_default", description="Which of the model's signatures is looked at.")
    no_traffic: Literal["fail", "report"] = Field(
        "fail", description="Whether a period without a logged row ends the run with an error, or is only reported."
    )


class Parameters(Settings):
    """The parameters of monitor."""

    model_name: ModelName
    request_log: Text
    window_start: window_settings.Instant
    window_end: window_settings.Instant
    rules: Rules
    log: VertexLog = VertexLog()

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that the period has no length, or that the log is not read as it is said."""
        yield from window_settings.conflicts(self.window_start, self.window_end)
        yield from vertex_log_settings.misfits(self.request_log, self.log)
        if vertex_log_settings.is_table(self.request_log) and self.rules.max_p99_ms and not self.log.metrics:
            yield "rules", "Vertex AI's log has no latency; expected max_p99_ms 0, or log: {metrics: true}"
