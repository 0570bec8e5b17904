"""The settings of a batch prediction job of Vertex AI."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from kfp_ct.base.settings import WHOLE, Count, Positive, Settings, Text, matching
from kfp_ct.models.vertex_settings import Label, LabelValue, Region


class VertexBatch(Settings):
    """A batch prediction job of Vertex AI: which model, on which machines, through which bucket."""

    project: Text = Field(description="Google Cloud project.")
    location: Region = Field(description="Region of model and job.")
    model: Text = Field(description="The registered model; `deploy` with `serving.target: vertex` brought it there.")
    folder: Annotated[str, matching("^gs://.+$", "gs://bucket/folder")] = Field(
        description="Where rows and results lie between the task and Vertex AI; they stay until someone deletes them."
    )
    machine_type: Text = Field("n1-standard-4", description="Machine of every replica.")
    starting_replicas: Count = Field(1, description="Replicas at the start.")
    max_replicas: Count = Field(4, description="Replicas that there are at most.")
    accelerator: str = Field("", description="Accelerator of every replica, such as NVIDIA_TESLA_T4; empty for none.")
    accelerator_count: Annotated[int, Field(ge=1, le=16), WHOLE] = Field(1, description="So many of them.")
    batch_rows: Count = Field(64, description="Rows of a request to a replica.")
    service_account: str = Field("", description="Account that the prediction service has; by default the project's.")
    encryption_key: str = Field("", description="Cloud KMS key of the job: projects/…/cryptoKeys/NAME.")
    labels: dict[Label, LabelValue] = Field({}, description="Labels of the job.")
    timeout_seconds: Count = Field(21_600, description="So long the task waits; the job goes on after that.")
    poll_seconds: Positive = Field(30.0, description="Time between two looks at the job.")
    api_endpoint: str = Field("", description="Address of the API; by default that of the location.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that there would be fewer replicas at most than at the start."""
        if self.max_replicas < self.starting_replicas:
            yield "max_replicas", f"it is less than starting_replicas; expected at least {self.starting_replicas}"
