"""Deploying to Vertex AI Pipelines: a version is a folder in Cloud Storage, a run a PipelineJob made from it."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from kfp_ct.base.errors import TargetError
from kfp_ct.deploy import version
from kfp_ct.deploy.deploy import Deployed
from kfp_ct.deploy.progress import RunView
from kfp_ct.deploy.run_nodes import TaskView
from kfp_ct.deploy.version import Version
from kfp_ct.package import package

_PACKAGE, _SETTINGS = "package.yaml", "settings.json"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A version in Cloud Storage; it has the fields that a version on Kubeflow Pipelines has."""

    display_name: str
    pipeline_version_id: str  # where its package is
    description: str
    pipeline_spec: dict[str, Any]


class VertexTarget:
    """One project and location of Google Cloud, as the section `vertex` of the settings describes it."""

    def __init__(self, section: Mapping[str, Any], credentials: Any = None) -> None:
        self.section = section
        self.credentials = credentials
        self.bucket, _, prefix = section["bucket"].removeprefix("gs://").partition("/")
        self.prefix = f"{prefix.strip('/')}/pipelines" if prefix.strip("/") else "pipelines"

    def pipeline(self, name: str) -> str | None:
        """Returns the name: versions are all that is kept."""
        return name

    def create_pipeline(self, wanted: Version) -> str:
        """Returns the name; there is nothing to create."""
        return wanted.pipeline

    def version(self, pipeline_id: str, name: str) -> Stored | None:
        """Returns the version of a name; None if there is none."""
        folder = f"{self.prefix}/{pipeline_id}/{name}"
        with speaking(self.section):
            bucket = self.storage().bucket(self.bucket)
            found = bucket.get_blob(f"{folder}/{_PACKAGE}")
            if found is None:
                return None
            settings = bucket.get_blob(f"{folder}/{_SETTINGS}")
            account = json.loads(settings.download_as_bytes()) if settings else {}
            spec = yaml.load(found.download_as_bytes(), Loader=yaml.CSafeLoader)
        return Stored(name, f"gs://{self.bucket}/{found.name}", version.written(account), spec)

    def latest(self, pipeline_id: str) -> Stored | None:
        """Returns the version that was uploaded last; None if there is none."""
        with speaking(self.section):
            blobs = self.storage().list_blobs(self.bucket, prefix=f"{self.prefix}/{pipeline_id}/")
            packages = [blob for blob in blobs if blob.name.endswith(f"/{_PACKAGE}")]
        if not packages:
            return None
        newest = max(packages, key=lambda blob: blob.time_created)
        return self.version(pipeline_id, newest.name.split("/")[-2])

    def upload(self, wanted: Version, pipeline_id: str) -> tuple[str, bool]:
        """Uploads settings, then the package, unless they are there; returns where it is, and whether it was uploaded.

        Raises:
            UsageError: A version of that name has other content.
        """
        from google.api_core.exceptions import PreconditionFailed

        found = self.version(pipeline_id, wanted.name)
        if found is None:
            folder = f"{self.prefix}/{pipeline_id}/{wanted.name}"
            account = {**wanted.account, "parameters": wanted.chosen.parameters}
            with speaking(self.section):
                bucket = self.storage().bucket(self.bucket)
                text = json.dumps(account, indent=1, sort_keys=True)
                bucket.blob(f"{folder}/{_SETTINGS}").upload_from_string(text, "application/json")
                # Last, and only if nobody was faster: a version is there when its package is.
                with contextlib.suppress(PreconditionFailed):
                    blob = bucket.blob(f"{folder}/{_PACKAGE}")
                    blob.upload_from_string(
                        package.dump(package.pipeline_document(wanted.compiled)),
                        "application/yaml",
                        if_generation_match=0,
                    )
                    return f"gs://{self.bucket}/{folder}/{_PACKAGE}", True
            found = self.version(pipeline_id, wanted.name)
        version.refuse_other(wanted, found)
        return found.pipeline_version_id if found else "", False

    def experiment(self, name: str) -> str:
        """Returns the name: runs carry it as a label."""
        return name

    def run(self, wanted: Version, done: Deployed, cause: str) -> str:
        """Submits a run of a version with its settings; returns its resource name."""
        from google.cloud.aiplatform import utils

        with speaking(self.section):
            labels = {"experiment": done.experiment_id}
            job = self.job(done.version_id, wanted.pipeline, wanted.name, wanted.arguments(cause), labels)
            # PipelineJob.submit would first ask the Resource Manager whose the bucket is, which takes a right more.
            made = self.client(utils.PipelineJobClientWithOverride).create_pipeline_job(
                parent=self.parent, pipeline_job=self.resource(job), pipeline_job_id=job.job_id
            )
            return str(made.name)

    def job(
        self, template: str, pipeline: str, name: str, arguments: Mapping[str, Any], labels: Mapping[str, str]
    ) -> Any:
        """Returns a PipelineJob that was not submitted."""
        from google.cloud import aiplatform

        self.start_client()
        root = self.section.get("pipeline_root") or f"gs://{self.bucket}/{self.prefix}/{pipeline}/runs"
        return aiplatform.PipelineJob(
            display_name=f"{pipeline} {name[:12]}", template_path=template, pipeline_root=root,
            parameter_values=dict(arguments), enable_caching=self.section.get("caching"),
            encryption_spec_key_name=self.section.get("encryption_key"),
            labels={**self.section.get("labels", {}), **{key: label(text) for key, text in labels.items()},
                    "commit": label(name)},
        )  # fmt: skip

    def resource(self, job: Any) -> Any:
        """Returns what of a PipelineJob is sent, with the account and the network it runs as and in."""
        found = job._gca_resource  # the public name is for submitted ones only
        found.service_account = self.section.get("service_account", "")
        found.network = self.section.get("network", "")
        return found

    @property
    def parent(self) -> str:
        """Returns the resource name of the location."""
        return f"projects/{self.section['project']}/locations/{self.section['location']}"

    def client(self, kind: Any) -> Any:
        """Returns a client of one of Vertex AI's services."""
        from google.cloud import aiplatform

        self.start_client()
        return aiplatform.initializer.global_config.create_client(client_class=kind)

    def look(self, run_id: str) -> RunView:
        """Returns where a run stands."""
        from google.cloud import aiplatform

        with speaking(self.section):
            self.start_client()
            found = aiplatform.PipelineJob.get(run_id).gca_resource
        # The executor of a task is one more entry beside it, without a name of the user's.
        tasks = {
            task.task_name: TaskView(task.state.name, error=task.error.message if task.error else "")
            for task in found.job_detail.task_details
            if task.task_name
        }
        state = found.state.name.removeprefix("PIPELINE_STATE_").replace("CANCELLED", "CANCELED")
        return RunView(state, tasks, found.error.message if found.error else "")

    def reach(self) -> None:
        """Asks for one run and for the bucket.

        Raises:
            TargetError: Vertex AI or Cloud Storage does not answer or refuses, or there is no such bucket.
        """
        from google.cloud.aiplatform import utils

        with speaking(self.section):
            client = self.client(utils.PipelineJobClientWithOverride)
            client.list_pipeline_jobs(request={"parent": self.parent, "page_size": 1})
            if not self.storage().bucket(self.bucket).exists():
                raise TargetError(
                    f"there is no bucket {self.bucket}\nfix: gcloud storage buckets create gs://{self.bucket}"
                )

    def log(self, run_id: str, pod: str, task: str = "") -> str:
        """Returns nothing: logs are in Cloud Logging, which a task's message names."""
        return ""

    def stalled(self, run_id: str, tasks: Sequence[str]) -> list[str]:
        """Says where to look."""
        names = ", ".join(tasks) or "no task has begun"
        return [f"waiting: nothing has changed for a minute ({names}); quotas and machines: {self.page(run_id)}"]

    def page(self, run_id: str) -> str:
        """Returns where a person sees a run."""
        place = f"locations/{self.section['location']}/runs/{run_id.rpartition('/')[2]}"
        return f"https://console.cloud.google.com/vertex-ai/pipelines/{place}?project={self.section['project']}"

    def start_client(self) -> None:
        """Sets what Google's client library takes from one place."""
        from google.cloud import aiplatform

        endpoint = self.section.get("api_endpoint")
        aiplatform.init(
            project=self.section["project"], location=self.section["location"], credentials=self.credentials,
            api_endpoint=endpoint, api_transport="rest" if endpoint and endpoint.startswith("http://") else None,
        )  # fmt: skip

    def storage(self) -> Any:
        """Returns a client of Cloud Storage."""
        from google.cloud import storage

        return storage.Client(project=self.section["project"], credentials=self.credentials)


@contextlib.contextmanager
def speaking(section: Mapping[str, Any]) -> Iterator[None]:
    """Turns what goes wrong with Google Cloud into a `TargetError`."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except GoogleAuthError as error:
        raise TargetError(
            f"no credentials for Google Cloud: {error}\nfix: gcloud auth application-default login"
        ) from error
    except (GoogleAPIError, RequestException, OSError) as error:
        where = f"{section['project']} in {section['location']}, {section['bucket']}"
        raise TargetError(f"Vertex AI ({where}): {error}") from error


def label(text: str) -> str:
    """Returns a text as a label of Google Cloud may be."""
    return "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in text.lower())[:63]
