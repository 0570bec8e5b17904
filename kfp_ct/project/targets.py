"""Where pipelines are deployed to: the sections `kfp` and `vertex` of a settings file."""

from typing import Annotated, Any, Literal

from pydantic import Field

from kfp_ct.base.setting_problems import Problem, problems
from kfp_ct.base.settings import Settings, Text, matching

KFP, VERTEX = NAMES = ("kfp", "vertex")
Bucket = Annotated[str, matching(r"^gs://[a-z0-9][a-z0-9._-]+(/.+)?$", "gs://BUCKET or a folder in it")]
Folder = Annotated[str, matching("^gs://.", "a folder gs://BUCKET/FOLDER")]
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
    pipeline_root: Text = Field("", description="Folder of the artifacts, such as s3://bucket/root.")
    time_zone: Text = Field("UTC", description="The zone in which the service reads cron: its CRON_SCHEDULE_TIMEZONE.")


class Vertex(Settings):
    """Vertex AI Pipelines."""

    project: Text = Field(description="Google Cloud project.")
    location: Text = Field(description="Region, such as europe-west1.")
    bucket: Bucket = Field(description="Where versions are kept: <bucket>/pipelines/<pipeline>/<commit>/.")
    pipeline_root: Folder = Field("", description="Folder of the artifacts; by default beside the versions.")
    service_account: Text = Field("", description="Service account that runs have.")
    network: Network = Field("", description="VPC network that runs are peered with.")
    labels: dict[str, Label] = Field({}, description="Labels of runs.")
    encryption_key: Key = Field("", description="Key that artifacts are encrypted with.")
    caching: bool | None = Field(
        None, description="Whether steps whose inputs have not changed are reused; null: as each step says."
    )
    api_endpoint: Text = Field("", description="Address of the API, where it is not Google's.")


MODELS: dict[str, type[Settings]] = {KFP: Kfp, VERTEX: Vertex}


def misfits(name: str, section: Any, complete: bool) -> list[Problem]:
    """Returns what is wrong with a section.

    Args:
        name: kfp or vertex.
        section: What the settings say.
        complete: Whether what must be there is missed, as it is when deploying.
    """
    found = problems(MODELS[name], section, (name,))
    return [each for each in found if complete or not each.text.startswith(" is missing")]
