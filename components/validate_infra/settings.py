"""The settings of validate_infra."""

from typing import Annotated

from pydantic import Field

from kfp_ct.base.settings import Count, NotNegative, Positive, Settings, Text, matching

SUBPROCESS, CONTAINER = "subprocess", "docker:"
Server = Annotated[
    str,
    matching(
        r"^(subprocess|docker:[\w.]\S*|https?://[^/?#\s]+(/[^?#\s]*)?/v1/models/[^/:?#\s]+(/versions/\d+)?/?)$",
        "subprocess, docker:IMAGE, or a model's address such as http://HOST:8501/v1/models/NAME",
    ),
]


class Infra(Settings):
    """What is sent to which service, and what it may cost; a budget that is null is measured but not judged."""

    server: Server = Field(
        SUBPROCESS,
        description="The service: subprocess, this project's, started by the step; docker:IMAGE, a container of its "
        "image or of tensorflow/serving; or the address of a service that has loaded the model already, whose memory "
        "and start cannot be measured.",
    )
    rows: Count = Field(200, description="Rows of the eval split that are sent.")
    batch_rows: Count = Field(50, description="Rows of a request in the comparison of batches.")
    tolerance: NotNegative = Field(1e-5, description="By how much an answer may differ from the model's own.")
    concurrency: Count = Field(2, description="Requests at a time while latency is measured.")
    start_s: Positive = Field(300.0, description="Seconds that the service may take to start.")
    request_s: Positive = Field(60.0, description="Seconds that a request may take.")
    signature: Text = Field("serving_default", description="The model's signature that is asked.")
    p50_ms: Positive | None = Field(None, description="Budget: median latency in milliseconds.")
    p99_ms: Positive | None = Field(None, description="Budget: latency that 99 of 100 requests stay below.")
    min_rows_per_s: Positive | None = Field(None, description="Budget: rows answered per second, at least.")
    max_memory_mb: Positive | None = Field(None, description="Budget: peak memory of the service.")
    max_load_s: Positive | None = Field(None, description="Budget: seconds from start to first answer.")
    max_model_mb: Positive | None = Field(None, description="Budget: size of the SavedModel.")

    @property
    def starts(self) -> bool:
        """Whether the step starts the service."""
        return self.server == SUBPROCESS or self.server.startswith(CONTAINER)


class Parameters(Settings):
    """The parameters of validate_infra."""

    infra: Infra
