"""The runs of a service, as whoever starts them by triggers needs them: under names by which they are found again."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from kfp_ct.deploy import kfp_api
from kfp_ct.deploy.kfp_target import KfpTarget
from kfp_ct.deploy.vertex_target import VertexTarget, label, speaking

# Of all runs of a service the newest are looked at: one that is older and still going would have gone on for very long.
_LOOKED_AT, _PAGE = 500, 100
_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "CANCELLED", "SKIPPED")


@dataclasses.dataclass(frozen=True)
class ServiceRun:
    """A run of a service: its id, the name it was given, and its state, such as RUNNING."""

    id: str
    name: str
    state: str

    @property
    def ended(self) -> bool:
        """Whether it is at its end."""
        return self.state in _ENDED


@dataclasses.dataclass(frozen=True)
class Start:
    """A run to start: its name, what it is a version of, what it is given."""

    name: str
    pipeline: str
    pipeline_id: str
    version: str
    version_id: str
    arguments: Mapping[str, Any]


class ServiceRuns(Protocol):
    """The runs of one service."""

    def active(self, pipeline: str, pipeline_id: str) -> list[ServiceRun]:
        """Returns the runs of a pipeline that are not at their end, whoever started them."""

    def named(self, name: str) -> list[ServiceRun]:
        """Returns the runs of a name, the first that was started first."""

    def start(self, wanted: Start) -> str:
        """Starts a run; returns its id."""

    def cancel(self, run_id: str) -> None:
        """Ends a run."""


def of_service(service: Any, experiment: str) -> ServiceRuns:
    """Returns the runs of a service that `open_target` opened."""
    return KfpRuns(service, experiment) if isinstance(service, KfpTarget) else VertexRuns(service, experiment)


class KfpRuns:
    """Runs of Kubeflow Pipelines, or of the local endpoint; several may have one name."""

    def __init__(self, service: KfpTarget, experiment: str) -> None:
        self._service, self._experiment = service, experiment

    def active(self, pipeline: str, pipeline_id: str) -> list[ServiceRun]:
        """Returns the runs of a pipeline that are not at their end, whoever started them."""
        found = (each for each in self._listed("") if _is_of(each, pipeline, pipeline_id))
        return [each for each in map(_kfp_run, found) if not each.ended]

    def named(self, name: str) -> list[ServiceRun]:
        """Returns the runs of a name, the first that was started first."""
        return [_kfp_run(each) for each in self._listed(kfp_api.equals("display_name", name))][::-1]

    def start(self, wanted: Start) -> str:
        """Starts a run; returns its id."""
        service = self._service
        experiment_id = service.experiment(self._experiment)
        with kfp_api.speaking(service.host):
            made = service.client.run_pipeline(
                experiment_id, wanted.name, params=dict(wanted.arguments), pipeline_id=wanted.pipeline_id,
                version_id=wanted.version_id, service_account=service.service_account,
                pipeline_root=service.pipeline_root,
            )  # fmt: skip
        return str(made.run_id)

    def cancel(self, run_id: str) -> None:
        """Ends a run."""
        with kfp_api.speaking(self._service.host):
            self._service.client.terminate_run(run_id)

    def _listed(self, wanted: str) -> Iterator[Any]:
        token, seen = "", 0
        while seen < _LOOKED_AT:
            with kfp_api.speaking(self._service.host):
                page = self._service.client.list_runs(
                    page_token=token, page_size=_PAGE, sort_by="created_at desc",
                    namespace=self._service.namespace or None, filter=wanted or None,
                )  # fmt: skip
            runs = page.runs or []
            yield from runs
            seen, token = seen + len(runs), page.next_page_token or ""
            if not token or not runs:
                return


class VertexRuns:
    """Runs of Vertex AI Pipelines: a name is the run's id there, of which there is one."""

    def __init__(self, service: VertexTarget, experiment: str) -> None:
        self._service, self._experiment = service, experiment

    def active(self, pipeline: str, pipeline_id: str) -> list[ServiceRun]:
        """Returns the runs of a pipeline that are not at their end, whoever started them."""
        request = {"parent": self._service.parent, "page_size": _PAGE, "order_by": "create_time desc"}
        found = []
        with speaking(self._service.section):
            for number, job in enumerate(self._client().list_pipeline_jobs(request=request)):
                if number >= _LOOKED_AT:
                    break
                if job.labels.get("experiment") == label(pipeline) or job.display_name.startswith(f"{pipeline} "):
                    found.append(_vertex_run(job))
        return [each for each in found if not each.ended]

    def named(self, name: str) -> list[ServiceRun]:
        """Returns the run of a name."""
        from google.api_core.exceptions import NotFound

        with speaking(self._service.section):
            try:
                return [
                    _vertex_run(self._client().get_pipeline_job(name=f"{self._service.parent}/pipelineJobs/{name}"))
                ]
            except NotFound:
                return []

    def start(self, wanted: Start) -> str:
        """Starts a run, or finds that it was started; returns its resource name."""
        from google.api_core.exceptions import Conflict  # over HTTP; AlreadyExists, over gRPC, is one

        with speaking(self._service.section):
            labels = {"experiment": self._experiment}
            job = self._service.job(wanted.version_id, wanted.pipeline, wanted.version, wanted.arguments, labels)
            try:
                made = self._client().create_pipeline_job(
                    parent=self._service.parent, pipeline_job=self._service.resource(job), pipeline_job_id=wanted.name
                )
            except Conflict:
                return f"{self._service.parent}/pipelineJobs/{wanted.name}"
            return str(made.name)

    def cancel(self, run_id: str) -> None:
        """Ends a run."""
        with speaking(self._service.section):
            self._client().cancel_pipeline_job(name=run_id)

    def _client(self) -> Any:
        from google.cloud.aiplatform import utils

        return self._service.client(utils.PipelineJobClientWithOverride)


def _is_of(run: Any, pipeline: str, pipeline_id: str) -> bool:
    reference = run.pipeline_version_reference
    if reference and reference.pipeline_id:
        return bool(reference.pipeline_id == pipeline_id)
    spec = run.pipeline_spec or {}
    return bool(spec.get("pipeline_spec", spec).get("pipelineInfo", {}).get("name") == pipeline)


def _kfp_run(run: Any) -> ServiceRun:
    return ServiceRun(str(run.run_id), str(run.display_name), str(run.state or "PENDING"))


def _vertex_run(job: Any) -> ServiceRun:
    return ServiceRun(str(job.name), job.name.rpartition("/")[2], job.state.name.removeprefix("PIPELINE_STATE_"))
