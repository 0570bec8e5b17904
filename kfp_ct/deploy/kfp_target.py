"""Deploying to anything that speaks Kubeflow Pipelines' v2beta1 API: a cluster's, or the local endpoint."""

import datetime
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import kfp
import kfp_server_api

from kfp_ct.base.errors import TargetError
from kfp_ct.deploy import kfp_api, kfp_identity, kfp_root, pod_problems, run_nodes, version
from kfp_ct.deploy.deploy import Deployed
from kfp_ct.deploy.progress import RunView
from kfp_ct.deploy.version import Version
from kfp_ct.package import package

BAD_REQUEST = 400
DEFAULT_NAMESPACE = "kubeflow"


class KfpTarget:
    """One service."""

    def __init__(
        self, client: kfp.Client, host: str, namespace: str = "", service_account: str = "", pipeline_root: str = ""
    ) -> None:
        self.client = client
        self.host = host
        self.namespace = namespace
        self.service_account = service_account or None
        self.pipeline_root = pipeline_root or None

    def pipeline(self, name: str) -> str | None:
        """Returns the id of a pipeline; None if there is none of that name."""
        with kfp_api.speaking(self.host):
            found = self.client.list_pipelines(
                page_size=2, filter=kfp_api.equals("display_name", name), namespace=self.namespace or None
            ).pipelines
        if found and len(found) > 1:
            raise TargetError(f"{self.host}: {len(found)} pipelines have the name {name}\nfix: delete all but one")
        return found[0].pipeline_id if found else None

    def version(self, pipeline_id: str, name: str) -> Any:
        """Returns the version of a name; None if there is none."""
        with kfp_api.speaking(self.host):
            found = self.client.list_pipeline_versions(
                pipeline_id, page_size=2, filter=kfp_api.equals("display_name", name)
            ).pipeline_versions
        return found[0] if found else None

    def latest(self, pipeline_id: str) -> Any:
        """Returns the version that was uploaded last; None if there is none."""
        with kfp_api.speaking(self.host):
            found = self.client.list_pipeline_versions(pipeline_id, page_size=1, sort_by="created_at desc")
        return found.pipeline_versions[0] if found.pipeline_versions else None

    def create_pipeline(self, wanted: Version) -> str:
        """Creates the pipeline, without a version: an upload would make one that is named as the pipeline."""
        description = f"{wanted.chosen.pipeline} of the project {wanted.chosen.project}"
        body = kfp_server_api.V2beta1Pipeline(
            name=wanted.pipeline, display_name=wanted.pipeline, description=description,
            namespace=self.namespace or None,
        )  # fmt: skip
        with kfp_api.speaking(self.host):
            try:
                return str(self.client.pipelines.pipeline_service_create_pipeline(body).pipeline_id)
            except kfp_server_api.ApiException as error:
                found = self.pipeline(wanted.pipeline)
                if found:  # somebody was faster; not every release says so with 409
                    return found
                if error.status == BAD_REQUEST and "unknown" in str(error.body).lower():
                    body.name = None  # releases that know a display name only
                    return str(self.client.pipelines.pipeline_service_create_pipeline(body).pipeline_id)
                raise

    def upload(self, wanted: Version, pipeline_id: str) -> tuple[str, bool]:
        """Uploads the version unless it is there; returns its id, and whether it was uploaded.

        Raises:
            UsageError: A version of that name has other content.
        """
        found = self.version(pipeline_id, wanted.name)
        if found is None:
            with tempfile.TemporaryDirectory() as folder, kfp_api.speaking(self.host):
                path = Path(folder) / "package.yaml"
                package.write_package(wanted.compiled, path)
                try:
                    made = self.client.upload_pipeline_version(
                        str(path), wanted.name, pipeline_id=pipeline_id, description=wanted.description
                    )
                    return str(made.pipeline_version_id), True
                except kfp_server_api.ApiException:
                    found = self.version(pipeline_id, wanted.name)
                    if found is None:
                        raise  # else somebody was faster; not every release says so with 409
        version.refuse_other(wanted, found)
        return str(found.pipeline_version_id), False

    def experiment(self, name: str) -> str:
        """Returns the id of an experiment, which is created if it is not there."""
        with kfp_api.speaking(self.host):
            found = self.client.create_experiment(name, namespace=self.namespace or None)
        return str(found.experiment_id)

    def run(self, wanted: Version, done: Deployed, cause: str) -> str:
        """Starts a run of a version with its settings; returns the run's id."""
        name = f"{wanted.pipeline} {wanted.name[:12]} {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S}"
        with kfp_api.speaking(self.host):
            made = self.client.run_pipeline(
                done.experiment_id, name, params=wanted.arguments(cause), pipeline_id=done.pipeline_id,
                version_id=done.version_id, service_account=self.service_account,
                pipeline_root=self.pipeline_root,
            )  # fmt: skip
        return str(made.run_id)

    def look(self, run_id: str) -> RunView:
        """Returns where a run stands."""
        with kfp_api.speaking(self.host):
            found = self.client.get_run(run_id)
        details = found.run_details.task_details if found.run_details else None
        error = found.error.message if found.error else ""
        return RunView(str(found.state or "PENDING"), run_nodes.fold(details or []), error or "")

    def log(self, run_id: str, pod: str, task: str = "") -> str:
        """Returns what a container logged: as the API has it, else what the launcher kept of the task, if it is named.

        The API reads the pod, which may be gone. Empty where neither is to be had.
        """
        path = f"/apis/v1alpha1/runs/{quote(run_id, safe='')}/nodes/{quote(pod, safe='')}/log"
        try:
            answer = kfp_identity.fetch(self.client, self.host, path)
        except TargetError:
            return self._kept_log(run_id, task)
        if answer.status != kfp_api.NOT_FOUND and "html" not in answer.kind and answer.body.strip():
            return answer.body.decode(errors="replace")
        return self._kept_log(run_id, task)

    def _kept_log(self, run_id: str, task: str) -> str:
        if not task:
            return ""
        with kfp_api.speaking(self.host):
            found = self.client.get_run(run_id)
        return kfp_root.log(kfp_root.folder(found, self.spec(found), self.pipeline_root), task)

    def spec(self, run: Any) -> Mapping[str, Any]:
        """Returns the spec of a run's package; empty where its version was deleted."""
        if run.pipeline_spec:
            return dict(run.pipeline_spec)
        version = run.pipeline_version_reference
        if not version:
            return {}
        with kfp_api.speaking(self.host):
            made = self.client.get_pipeline_version(version.pipeline_id, version.pipeline_version_id)
        return dict(made.pipeline_spec or {})

    def stalled(self, run_id: str, tasks: Sequence[str]) -> list[str]:
        """Says why pods do not start, where the cluster can be asked, and where to look else."""
        if kfp_identity.identify(self.client, self.host).is_local:
            return []
        return pod_problems.of_run(self.namespace or DEFAULT_NAMESPACE, run_id, tasks)

    def page(self, run_id: str) -> str:
        """Returns where a person sees a run."""
        return f"{self.host}/#/runs/details/{run_id}"
