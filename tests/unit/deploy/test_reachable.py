"""Settings whose state only this machine has are refused before anything is sent to a cluster."""

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import target
from kfp_ct.deploy.reachable import require_reachable
from kfp_ct.project import settings
from kfp_ct.project.workspace import find_workspace


def chosen(environment, **parameters):
    return settings.load(find_workspace(), "flights", environment, parameters)


@pytest.mark.parametrize("destination", [target.KFP, target.VERTEX])
def test_settings_of_this_machine_fit_no_cluster(destination):
    with pytest.raises(UsageError) as refused:
        require_reachable(chosen("local"), destination, find_workspace())
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"pipelines/flights/settings/local.yaml does not fit the target {destination}")
    assert [line.split(" is ")[0] for line in lines[1:-2]] == [
        "sources.flights.uri", "sources.weather.uri", "registry_uri", "serving_root", "checkpoints",
    ]  # fmt: skip
    assert lines[-1].startswith("fix: ")


def test_they_fit_the_local_endpoint():
    require_reachable(chosen("local"), target.LOCAL, find_workspace())


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_volumes_and_services_fit_kfp(environment):
    require_reachable(chosen(environment), target.KFP, find_workspace())


def test_vertex_mounts_no_volumes():
    with pytest.raises(UsageError, match=r"serving_root is /mnt/ct/serving: a path; Vertex AI mounts no volumes"):
        require_reachable(chosen("prod"), target.VERTEX, find_workspace())
    locations = {
        "sources": {"flights": {"uri": "gs://bucket/flights/*.csv.gz"}}, "serving_root": "gs://bucket/serving",
        "checkpoints": "/gcs/bucket/checkpoints",
    }  # fmt: skip
    fitting = chosen("prod", **locations, **{"sources.weather.uri": "gs://bucket/weather.csv"})
    require_reachable(fitting, target.VERTEX, find_workspace())


def test_a_database_file_is_refused_wherever_it_lies():
    with pytest.raises(UsageError, match=r"registry_uri is sqlite:////mnt/ct/mlflow.db: a database file"):
        require_reachable(chosen("prod", registry_uri="sqlite:////mnt/ct/mlflow.db"), target.KFP, find_workspace())


def test_a_folder_of_the_repository_is_refused_inside_a_setting():
    inside = str(find_workspace().root / "classes.txt")
    with pytest.raises(UsageError, match=r"gates\.classes is .*classes.txt: on this machine only"):
        require_reachable(chosen("prod", **{"gates.classes": inside}), target.KFP, find_workspace())
