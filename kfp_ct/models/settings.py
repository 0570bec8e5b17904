"""Settings that name a registry or a model of it, for every component that takes one."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base.settings import WHOLE, Count, Fraction, Names, NotNegative, Positive, Settings, Text, matching
from kfp_ct.clock.duration_settings import Duration
from kfp_ct.models import vertex_log_settings
from kfp_ct.models.model_version import MODEL_NAME, MODEL_NAME_IS, REGISTRY_IS, SCHEMES
from kfp_ct.models.vertex_log_settings import VertexLog
from kfp_ct.models.vertex_settings import VertexServing

ModelName = Annotated[str, matching(f"^{MODEL_NAME}$", MODEL_NAME_IS)]
RegistryUri = Annotated[str, matching(f"^({'|'.join(map(re.escape, SCHEMES))}|\\$\\{{[A-Z_]).", REGISTRY_IS)]
KubernetesName = Annotated[
    str, matching("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "at most 63 lower-case letters, digits and -, none at an end")
]
Percent = Annotated[int, Field(ge=1, le=100), WHOLE]


class Judge(Settings):
    """What a release's candidate is held to on live traffic."""

    request_log: Text = Field(
        description="Where the prediction service logs to (`--request-log`), or with `target: vertex` the table that "
        "Vertex AI logs to: bq://project.dataset.table."
    )
    log: VertexLog = Field(
        VertexLog(), description="How such a table is read; endpoint, region and sample are those of serving.vertex."
    )
    labels: str = Field("", description="Labels that come later, as those of monitoring; empty: quality is not judged.")
    task: Literal["binary", "multiclass", "regression"] = Field("binary", description="What labels and outputs are.")
    metric: Literal["log_loss", "accuracy", "auc", "mse", "mae"] = Field(
        "log_loss", description="What quality is; mse or mae of a regression."
    )
    output: str = Field("", description="The output that is judged; by default the only one, or a usual name.")
    classes: Names = Field((), description="Names of a multiclass label's classes, by number.")
    signature: str = Field("serving_default", description="Which of the model's signatures is looked at.")
    min_rows: Count = Field(500, description="Rows of the candidate that every step needs.")
    min_labelled: Count = Field(200, description="Labelled rows of the candidate that every step needs, with labels.")
    max_rows: Count = Field(200_000, description="At most so many rows of a version and step are read.")
    max_wait: Duration = Field("24h", description="A step that has too few rows after so long is backed out.")
    false_back_out: float = Field(
        0.05, ge=1e-9, le=0.5,
        description="Probability that an equal candidate is ever backed out, over all looks and criteria together.",
    )  # fmt: skip
    max_error_rise: Fraction = Field(0.01, description="Allowed rise of the share of requests that fail.")
    max_latency_rise: NotNegative = Field(0.5, description="Allowed rise of latency: 0.5 is half as long again.")
    max_prediction_distance: Fraction = Field(
        0.2, description="Allowed Kolmogorov-Smirnov distance of the predictions' distributions."
    )
    max_loss: NotNegative = Field(0.0, description="Allowed loss of the metric.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that a metric is not one of the task."""
        fitting = {"binary": ("log_loss", "accuracy", "auc"), "multiclass": ("log_loss", "accuracy")}
        known = fitting.get(self.task, ("mse", "mae"))
        if self.metric not in known:
            yield "metric", f"it is not measured for the task {self.task}; expected one of {', '.join(known)}"
        # The endpoint is known where the settings of serving are.
        log = self.log.model_copy(update={"endpoint": self.log.endpoint or "unnamed"})
        if vertex_log_settings.is_table(self.request_log) or self.log != VertexLog():
            yield from vertex_log_settings.misfits(self.request_log, log)


class ReleasePolicy(Settings):
    """How a new version gets its traffic, step by step, judged by what it does there."""

    canary: Annotated[tuple[Percent, ...], Field(strict=False)] = Field(
        (), description="The candidate's share of the requests at each step, in percent, rising; after the last, all."
    )
    shadow: Annotated[int, Field(ge=0, le=100), WHOLE] = Field(
        0, description="Share of the requests that a challenger answers too, unseen by clients, in percent."
    )
    every: Duration = Field("10m", description="The shortest time of a step.")
    key: str = Field(
        "", description="Input whose value (of a request's first row) decides which version answers; by default all."
    )
    equal: Literal["promote", "keep"] = Field(
        "promote", description="What an equal candidate comes to at the end: live, or kept back after max_wait."
    )
    judge: Judge

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that the steps are none, or two kinds, or do not rise."""
        if bool(self.canary) == bool(self.shadow):
            yield "canary", "set exactly one of canary and shadow"
        if list(self.canary) != sorted(set(self.canary)):
            yield "canary", "the shares must rise; expected such as [1, 10, 50]"
        if len(self.canary) > 10:
            yield "canary", "it has more than 10 steps"

    @property
    def steps(self) -> tuple[int, ...]:
        """The candidate's share at each step."""
        return self.canary or (0,)


class Serving(Settings):
    """What serves a model, and how a new version gets there."""

    target: Literal["folder", "kubernetes", "kserve", "vertex"] = Field(
        "folder",
        description="folder: the prediction service watches serving_root; kubernetes: a Deployment of it is rolled "
        "out; kserve: an InferenceService is; vertex: a Vertex AI endpoint gets the version.",
    )
    vertex: VertexServing | None = Field(None, description="The Vertex AI endpoint, with `target: vertex`.")
    namespace: KubernetesName = Field("serving", description="Namespace of the Deployment or InferenceService.")
    name: KubernetesName = Field("", description="Its name; by default the model's, in lower case with dashes.")
    timeout_seconds: Count = Field(900, description="After so long without an answer a new version is undone.")
    poll_seconds: Positive = Field(2.0, description="Time between two looks at the rollout.")
    canary_percent: Percent = Field(100, description="Share of the traffic that a new version gets first; kserve.")
    canary_seconds: Count = Field(300, description="So long it must stay ready with that share.")

    release: ReleasePolicy | None = Field(
        None, description="A new version is tried on live traffic first; null: it answers everything at once."
    )
    approve: bool = Field(
        False,
        description="A new version waits, registered and blessed, until someone says `ct approve`; before that it gets "
        "no traffic. Going back by `ct rollback` needs no approval.",
    )
    approvals: Annotated[int, Field(ge=1, le=2), WHOLE] = Field(
        1, description="So many different persons must approve; 2 is the two-person rule."
    )
    approval_expires: Duration = Field("7d", description="An approval that is older does not count.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that a share of the traffic was asked for where nothing can split it."""
        yield from self._release_conflicts()
        if (self.target == "vertex") != (self.vertex is not None):
            yield "vertex", "`target: vertex` and the section vertex go together; expected both or neither"
        if self.approvals > 1 and not self.approve:
            yield "approvals", "nobody is asked; expected approve: true beside it"
        if self.canary_percent < 100 and self.target != "kserve":
            yield "canary_percent", f"the target {self.target} cannot split traffic; expected 100, or target: kserve"

    def _release_conflicts(self) -> Iterator[tuple[str, str]]:
        if self.release is None:
            return
        if self.target == "kubernetes":
            yield "release", "the target kubernetes has one version at a time; expected target: folder or kserve"
        name = {"kserve": "KServe", "vertex": "Vertex AI"}.get(self.target)
        if name and self.release.shadow:
            yield "release", f"{name} copies no traffic; expected canary, or target: folder"
        if name and self.release.key:
            yield "release", f"{name} splits by chance, not by a key; expected no key, or target: folder"
        if self.canary_percent < 100:
            yield "canary_percent", "the release says the shares; expected no canary_percent beside release"
        yield from self._log_conflicts(self.release.judge)

    def _log_conflicts(self, judge: Judge) -> Iterator[tuple[str, str]]:
        if not vertex_log_settings.is_table(judge.request_log):
            return
        logged = self.vertex.bigquery_log if self.vertex else ""
        if vertex_log_settings.table_of(judge.request_log) != vertex_log_settings.table_of(logged):
            yield (
                "release",
                (
                    f"its judge reads {judge.request_log}, and the endpoint logs to {logged or 'no table'}; "
                    "expected serving.vertex.bigquery_log to be the judge's request_log"
                ),
            )
        given = judge.log.model_dump(include={"endpoint", "location", "sample"})
        if given != VertexLog().model_dump(include=set(given)):
            yield (
                "release",
                (
                    "its judge's log says endpoint, location or sample, which are those of serving.vertex; "
                    "expected metrics and bigquery alone"
                ),
            )
