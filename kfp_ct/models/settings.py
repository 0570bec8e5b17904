"""Settings that name a registry or a model of it, for every component that takes one."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base.settings import WHOLE, Count, Positive, Settings, matching
from kfp_ct.models.model_version import MODEL_NAME, MODEL_NAME_IS, REGISTRY_IS, SCHEMES

ModelName = Annotated[str, matching(f"^{MODEL_NAME}$", MODEL_NAME_IS)]
RegistryUri = Annotated[str, matching(f"^({'|'.join(map(re.escape, SCHEMES))}|\\$\\{{[A-Z_]).", REGISTRY_IS)]
KubernetesName = Annotated[
    str, matching("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "at most 63 lower-case letters, digits and -, none at an end")
]
Percent = Annotated[int, Field(ge=1, le=100), WHOLE]


class Serving(Settings):
    """What serves a model, and how a new version gets there."""

    target: Literal["folder", "kubernetes", "kserve"] = Field(
        "folder",
        description="folder: the prediction service watches serving_root; kubernetes: a Deployment of it is rolled "
        "out; kserve: an InferenceService is.",
    )
    namespace: KubernetesName = Field("serving", description="Namespace of the Deployment or InferenceService.")
    name: KubernetesName = Field("", description="Its name; by default the model's, in lower case with dashes.")
    timeout_seconds: Count = Field(900, description="After so long without an answer a new version is undone.")
    poll_seconds: Positive = Field(2.0, description="Time between two looks at the rollout.")
    canary_percent: Percent = Field(100, description="Share of the traffic that a new version gets first; kserve.")
    canary_seconds: Count = Field(300, description="So long it must stay ready with that share.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that a share of the traffic was asked for where nothing can split it."""
        if self.canary_percent < 100 and self.target != "kserve":
            yield "canary_percent", f"the target {self.target} cannot split traffic; expected 100, or target: kserve"
