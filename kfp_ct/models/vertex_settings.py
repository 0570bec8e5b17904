"""The settings of a Vertex AI endpoint that serves a model."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base.settings import WHOLE, Count, Names, Settings, Text, matching

_GS_IS = "gs://bucket/folder"
_TABLE_IS = "bq://project, bq://project.dataset or bq://project.dataset.table"
_ENDPOINT_IS = "an id: lower-case letters, digits and -, at most 63; or digits alone"


Label = Annotated[str, matching("^[a-z][a-z0-9_-]{0,62}$", "lower-case letters, digits, _ and -, at most 63")]
LabelValue = Annotated[str, matching("^[a-z0-9_-]{0,63}$", "lower-case letters, digits, _ and -, at most 63")]
Region = Annotated[str, matching("^[a-z]+(-[a-z]+)+[0-9]+$", "a region such as europe-west1")]


class VertexServing(Settings):
    """A Vertex AI endpoint: what serves there, on which machines."""

    project: Text = Field(description="Google Cloud project.")
    location: Region = Field(description="Region of model and endpoint.")
    image: Text = Field(description="Image of the prediction service, by digest; `ct images` builds it.")
    endpoint: Annotated[str, matching("^([a-z]([-a-z0-9]{0,61}[a-z0-9])?|[0-9]*)$", _ENDPOINT_IS)] = Field(
        "", description="Id of the endpoint; by default the model's name. It is made if it is not there."
    )
    machine_type: Text = Field("n1-standard-2", description="Machine of every replica.")
    min_replicas: Count = Field(1, description="Replicas that are always there.")
    max_replicas: Count = Field(1, description="Replicas that there are at most, by load.")
    scale_at: dict[Literal["cpu", "accelerator"], Annotated[int, Field(ge=1, le=100), WHOLE]] = Field(
        {},
        description="Utilisation in percent at which replicas are added, of cpu, accelerator or both; Vertex AI's own "
        "is 60.",
    )
    accelerator: str = Field("", description="Accelerator of every replica, such as NVIDIA_TESLA_T4; empty for none.")
    accelerator_count: Annotated[int, Field(ge=1, le=16), WHOLE] = Field(1, description="So many of them.")
    spot: bool = Field(False, description="Spot machines: cheaper, and taken away when Google needs them.")
    service_account: str = Field("", description="Account that the prediction service has; by default the project's.")
    encryption_key: str = Field("", description="Cloud KMS key of model and endpoint: projects/…/cryptoKeys/NAME.")
    private_projects: Names = Field(
        (), description="Projects that may connect by Private Service Connect; the endpoint then has no public address."
    )
    request_log: Annotated[str, matching("^(gs://.+)?$", _GS_IS)] = Field(
        "", description="Where the prediction service logs requests to, as monitoring and the judge read them."
    )
    bigquery_log: Annotated[str, matching("^(bq://.+)?$", _TABLE_IS)] = Field(
        "", description="BigQuery table that Vertex AI logs requests and answers to; empty for none."
    )
    bigquery_log_sample: float = Field(1.0, gt=0, le=1, description="Share of the requests that goes there.")
    labels: dict[Label, LabelValue] = Field({}, description="Labels of model and endpoint.")
    api_endpoint: str = Field("", description="Address of the API; by default that of the location.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that there would be fewer replicas at most than at least."""
        if self.max_replicas < self.min_replicas:
            yield "max_replicas", f"it is less than min_replicas; expected at least {self.min_replicas}"
        if "accelerator" in self.scale_at and not self.accelerator:
            yield "scale_at", "there is no accelerator; expected accelerator beside it, or cpu"
