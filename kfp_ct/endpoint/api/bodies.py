"""Bodies of requests: KFP's messages, as far as a caller sets them; names in either of protobuf's two spellings."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class _Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _text_that_can_be_kept(cls, body: Any) -> Any:
        """Refuses halves of characters, which JSON's escapes can name: no answer that shows one could be written."""
        try:
            json.dumps(body, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError as error:
            raise ValueError("the body holds characters that are not valid UTF-8") from error
        return body


class Pipeline(_Message):
    """V2beta1Pipeline."""

    name: str = ""
    display_name: str | None = ""
    description: str | None = ""
    tags: dict[str, str] | None = None


class Url(_Message):
    """V2beta1Url."""

    pipeline_url: str | None = ""


class Version(_Message):
    """V2beta1PipelineVersion."""

    name: str | None = ""
    display_name: str | None = ""
    description: str | None = ""
    code_source_url: str | None = ""
    package_url: Url | None = None
    pipeline_spec: dict[str, Any] | None = None
    tags: dict[str, str] | None = None


class PipelineAndVersion(_Message):
    """V2beta1CreatePipelineAndVersionRequest."""

    pipeline: Pipeline
    pipeline_version: Version


class Experiment(_Message):
    """V2beta1Experiment."""

    display_name: str = ""
    description: str | None = ""


class Reference(_Message):
    """V2beta1PipelineVersionReference."""

    pipeline_id: str | None = ""
    pipeline_version_id: str | None = ""


class RuntimeConfig(_Message):
    """V2beta1RuntimeConfig."""

    parameters: dict[str, Any] | None = None
    pipeline_root: str | None = ""


class _ToRun(_Message):
    experiment_id: str | None = ""
    display_name: str = ""
    description: str | None = ""
    pipeline_version_id: str | None = ""
    pipeline_version_reference: Reference | None = None
    pipeline_spec: dict[str, Any] | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: str | None = ""


class Run(_ToRun):
    """V2beta1Run."""


class Trigger(_Message):
    """V2beta1Trigger."""

    cron_schedule: "CronSchedule | None" = None
    periodic_schedule: "PeriodicSchedule | None" = None


class CronSchedule(_Message):
    """V2beta1CronSchedule."""

    start_time: str | None = None
    end_time: str | None = None
    cron: str = ""


class PeriodicSchedule(_Message):
    """V2beta1PeriodicSchedule; numbers of 64 bits are texts in protobuf's JSON."""

    start_time: str | None = None
    end_time: str | None = None
    interval_second: str | int = ""


class RecurringRun(_ToRun):
    """V2beta1RecurringRun."""

    max_concurrency: str | int | None = Field(default="1")
    trigger: Trigger | None = None
    mode: str | None = "ENABLE"
    no_catchup: bool | None = False
