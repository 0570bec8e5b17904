"""Schedules as PipelineJobSchedules of Vertex AI, which can be changed in place."""

import datetime
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy.schedules.plan import Actual, Desired
from kfp_ct.deploy.vertex_target import VertexTarget, label, speaking

_MARK = "kfp-ct-schedule"  # the label that says whose a schedule is


class VertexSchedules:
    """The schedules that were made for one project; labels of their jobs say so."""

    settle = 0.0

    def __init__(self, target: VertexTarget, project: str) -> None:
        self.target = target
        self.project = project

    def actual(self) -> list[Actual]:
        """Returns all that were made for the project."""
        with speaking(self.target.section):
            found = list(self._client().list_schedules(parent=self.target.parent))
        return [each for each in map(self._read, found) if each is not None]

    def create(self, wanted: Desired, start: datetime.datetime, enabled: bool) -> Actual:
        """Makes a schedule; one that is not to fire is paused at once."""
        with speaking(self.target.section):
            made = self._client().create_schedule(parent=self.target.parent, schedule=self._schedule(wanted))
        actual = self._read(made)
        assert actual is not None, "it has the labels that were sent"  # noqa: S101
        if not enabled:
            self.enable(actual, False)
        return actual

    def update(self, actual: Actual, wanted: Desired) -> None:
        """Changes a schedule; its next firing is the first that is due after that."""
        schedule = self._schedule(wanted)
        schedule.name = actual.id
        mask = ["display_name", "cron", "create_pipeline_job_request", "max_concurrent_run_count", "allow_queueing"]
        with speaking(self.target.section):
            self._client().update_schedule(schedule=schedule, update_mask={"paths": mask})

    def enable(self, actual: Actual, enabled: bool) -> None:
        """Lets it fire, without what was due meanwhile, or keeps it from firing."""
        with speaking(self.target.section):
            if enabled:
                self._client().resume_schedule(request={"name": actual.id, "catch_up": False})
            else:
                self._client().pause_schedule(name=actual.id)

    def delete(self, actual: Actual) -> None:
        """Deletes it; nothing happens if it is gone."""
        from google.api_core.exceptions import NotFound

        with speaking(self.target.section):
            try:
                self._client().delete_schedule(name=actual.id).result()
            except NotFound:
                return

    def last_firing(self, actual: Actual) -> datetime.datetime | None:
        """Returns nothing: no schedule is replaced here."""
        return None

    def now(self) -> datetime.datetime:
        """Returns the time."""
        return datetime.datetime.now(datetime.UTC)

    def _schedule(self, wanted: Desired) -> Any:
        from google.cloud import aiplatform_v1

        labels = {
            _MARK: label(wanted.name), "kfp-ct-project": label(wanted.project), "kfp-ct-hash": wanted.hash,
            "kfp-ct-pipeline": label(wanted.pipeline),
        }  # fmt: skip
        with speaking(self.target.section):
            made = self.target.job(wanted.version_id, wanted.pipeline, wanted.version, wanted.arguments, labels)
        job = self.target.resource(made)
        return aiplatform_v1.Schedule(
            display_name=f"{wanted.pipeline}-{wanted.name}"[:128],
            cron=wanted.cron,
            max_concurrent_run_count=wanted.max_concurrency,
            allow_queueing=wanted.catch_up,
            create_pipeline_job_request={"parent": self.target.parent, "pipeline_job": job},
        )

    def _client(self) -> Any:
        from google.cloud.aiplatform import utils

        return self.target.client(utils.ScheduleClientWithOverride)

    def _read(self, found: Any) -> Actual | None:
        job = found.create_pipeline_job_request.pipeline_job
        labels = dict(job.labels)
        if _MARK not in labels or labels.get("kfp-ct-project") != label(self.project):
            return None
        return Actual(
            id=found.name,
            name=labels[_MARK],
            hash=labels.get("kfp-ct-hash", ""),
            enabled=found.state.name == "ACTIVE",
            made=str(found.create_time or ""),
            start=found.start_time or found.create_time or self.now(),
            pipeline=labels.get("kfp-ct-pipeline", ""),
            version=labels.get("commit", ""),
            cron=found.cron,
            arguments=_arguments(job),
        )


def _arguments(job: Any) -> dict[str, Any]:
    """Returns what runs of a job are started with."""
    from google.protobuf import json_format

    config = json_format.MessageToDict(type(job).pb(job).runtime_config)
    return dict(config.get("parameterValues", {}))


def expression(cron: str, zone: str, interval: int, where: str) -> str:
    """Returns a cron expression as Vertex AI takes it: five fields after a zone.

    Raises:
        UsageError: It has seconds, or there is none.
    """
    if interval or not cron.startswith("0 "):
        raise UsageError(
            f"{where}: Vertex AI fires by cron expressions of whole minutes\n"
            "expected: cron: minute hour day month weekday"
        )
    return f"TZ={zone} {cron.removeprefix('0 ')}"
