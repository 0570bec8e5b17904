"""Where pipelines are deployed to, and what their tasks get there: the sections `kfp`, `kubernetes` and `vertex`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from kfp_ct.base import secrets
from kfp_ct.base.setting_problems import Problem, nearest, problems
from kfp_ct.base.settings import Settings, Text, matching
from kfp_ct.package import task_names
from kfp_ct.package.package import Package
from kfp_ct.project import kubernetes_settings
from kfp_ct.project.task_settings import TASKS, TaskSettings

PACKAGE, IMAGE = "package", "image"
KFP, KUBERNETES, VERTEX = NAMES = ("kfp", "kubernetes", "vertex")
Bucket = Annotated[str, matching(r"^gs://[a-z0-9][a-z0-9._-]+(/.+)?$", "gs://BUCKET or a folder in it")]
Folder = Annotated[str, matching("^gs://.", "a folder gs://BUCKET/FOLDER")]
Root = Annotated[str, matching("^(s3|gs|minio)://.", "a folder such as s3://BUCKET/FOLDER")]
Location = Annotated[
    str, matching(r"^((s3|gs)://[^/]+|/).*$", "a folder such as s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or /mnt/FOLDER")
]
_CODE = (
    "How the user's code reaches tasks: package, by its content in an object store, so that an edit changes the inputs "
    "of just the steps that use it; image, in the image `components`. By default package where settings name a store."
)
_CODE_LOCATION = "Folder of the packages of user code; by default `code` in or beside "
Label = Annotated[str, matching("^[a-z0-9_-]{0,63}$", "at most 63 lower-case letters, digits, _ and -")]
Network = Annotated[str, matching("^projects/[^/]+/global/networks/[^/]+$", "projects/NUMBER/global/networks/NAME")]
Key = Annotated[str, matching("^projects/.+/cryptoKeys/[^/]+$", "projects/PROJECT/locations/…/cryptoKeys/KEY")]


class Kfp(Settings):
    """A service of Kubeflow Pipelines."""

    host: Text = Field("", description="Address of the service, such as https://kfp.example.com; --host wins.")
    auth: Literal["none", "token", "in-cluster", "iap", "dex"] = Field(
        "none",
        description="How to sign in: token ($CT_TOKEN), in-cluster, iap ($KF_PIPELINES_IAP_OAUTH2_CLIENT_ID), "
        "dex ($CT_COOKIE); --auth wins.",
    )
    namespace: Text = Field("", description="Namespace of the runs, where a service has several users.")
    experiment: Text = Field("", description="Experiment of the runs; by default named as the pipeline.")
    service_account: Text = Field("", description="Kubernetes service account that tasks run as.")
    pipeline_root: Root = Field("", description="Folder of the artifacts; by default the service's.")
    code: Literal["", "package", "image"] = Field("", description=_CODE)
    code_location: Location = Field("", description=f"{_CODE_LOCATION}pipeline_root or the parameter serving_root.")
    time_zone: Text = Field("UTC", description="The zone in which the service reads cron: its CRON_SCHEDULE_TIMEZONE.")


class Vertex(Settings):
    """Vertex AI Pipelines."""

    project: Text = Field(description="Google Cloud project.")
    location: Text = Field(description="Region, such as europe-west1.")
    bucket: Bucket = Field(description="Where versions are kept: <bucket>/pipelines/<pipeline>/<commit>/.")
    pipeline_root: Folder = Field("", description="Folder of the artifacts; by default beside the versions.")
    code: Literal["", "package", "image"] = Field("", description=_CODE)
    code_location: Location = Field("", description=f"{_CODE_LOCATION}the bucket.")
    service_account: Text = Field("", description="Service account that runs have.")
    network: Network = Field("", description="VPC network that runs are peered with.")
    labels: dict[str, Label] = Field({}, description="Labels of runs.")
    encryption_key: Key = Field("", description="Key that artifacts are encrypted with.")
    caching: bool | None = Field(
        None, description="Whether steps whose inputs have not changed are reused; null: as each step says."
    )
    api_endpoint: Text = Field("", description="Address of the API, where it is not Google's.")
    all: TaskSettings = Field(TaskSettings(), description="Of every task.", json_schema_extra={"default": {}})
    tasks: dict[Text, TaskSettings] = Field({}, description="Of single tasks, by their names in the pipeline.")


MODELS: dict[str, type[Settings]] = {KFP: Kfp, KUBERNETES: kubernetes_settings.Kubernetes, VERTEX: Vertex}


def clear_secrets(name: str, section: Any) -> list[Problem]:
    """Returns a problem for every secret that a section holds in the clear.

    Args:
        name: kfp, kubernetes or vertex.
        section: What the settings say.
    """
    found = secrets.in_the_clear(section, (name,))
    return kubernetes_settings.clear_secrets(section, found) if name == KUBERNETES else found


def unknown_tasks(name: str, section: Any, compiled: Package) -> list[Problem]:
    """Returns a problem for every task that a section names and the pipeline has not.

    Args:
        name: kfp, kubernetes or vertex.
        section: What the settings say.
        compiled: The pipeline's package.
    """
    tasks = section.get(TASKS) if isinstance(section, dict) and name != KFP else None
    known = sorted(task_names.names(compiled).values())
    return [
        Problem((name, TASKS, str(each)), " is no task of the pipeline: " + _instead(str(each), known))
        for each in (tasks if isinstance(tasks, dict) else ())
        if each not in known
    ]


def _instead(name: str, known: list[str]) -> str:
    return nearest(name, known) or f"expected one of {', '.join(known)}"


def misfits(name: str, section: Any, complete: bool) -> list[Problem]:
    """Returns what is wrong with a section.

    Args:
        name: kfp, kubernetes or vertex.
        section: What the settings say.
        complete: Whether what must be there is missed, as it is when deploying.
    """
    if name == KUBERNETES:
        return kubernetes_settings.misfits(section)
    found = problems(MODELS[name], section, (name,))
    return [each for each in found if complete or not each.text.startswith(" is missing")]
