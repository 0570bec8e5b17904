"""Paths on no volume of a task, and workers that nobody starts, are refused before a package is sent."""

import dataclasses

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import target, version
from kfp_ct.deploy.pod_paths import require_mounted
from kfp_ct.deploy.reachable import require_reachable
from kfp_ct.project import settings
from kfp_ct.project.workspace import find_workspace


def refused(environment="prod", destination=target.KFP, section=None, **parameters):
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", environment, parameters)
    if section is not None:
        chosen = dataclasses.replace(chosen, targets={"kubernetes": section}, layers=())
    compiled = version.for_target(workspace, chosen, destination)
    try:
        require_mounted(compiled, chosen, destination)
    except UsageError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("environment", ["dev", "prod", "kind"])
def test_shipped_settings_mount_what_they_name(environment):
    assert refused(environment) == []


def test_a_path_below_a_mount_is_one_and_beside_it_is_none():
    assert refused(serving_root="/mnt/ct/deep/serving") == []
    lines = refused(serving_root="/mnt/ctx/serving")
    assert "serving_root is /mnt/ctx/serving: on no volume of the task " in lines[1]
    assert lines[1].endswith("the task deploy, which has /mnt/ct mounted")
    assert lines[-1].startswith("fix: mount one by kubernetes: ")


def test_a_volume_of_another_task_does_not_help():
    volume = {"volumes": [{"pvc": "ct-data", "path": "/mnt/ct"}]}
    lines = refused(section={"tasks": dict.fromkeys(("ingest", "resolve-sources", "train"), volume)})
    assert [line.split(" is ")[0] for line in lines[1:-2]] == ["serving_root", "checkpoints"]
    assert lines[2].endswith("on no volume of the task tune, which has nothing mounted")


def test_what_a_cluster_mounts_by_itself_is_said():
    assert refused(section={"mounted": ["/mnt/ct"]}) == []


def test_uris_and_this_machine_need_no_volume():
    uris = {
        "sources.flights.uri": "s3://b/f.csv", "sources.weather.uri": "gs://b/w.csv", "serving_root": "s3://b/serving",
        "checkpoints": "",
    }  # fmt: skip
    assert refused(section={}, **uris) == []
    assert refused(destination=target.LOCAL, section={}) == []


def test_workers_that_nobody_starts_are_refused():
    for destination in (target.KFP, target.VERTEX):
        lines = refused(destination=destination, distribution="multi_worker_mirrored")
        assert "distribution is multi_worker_mirrored: a task is one pod, nobody starts workers for train" in lines[1]
    assert refused(distribution="mirrored") == []
    own = {"mounted": ["/mnt/ct"], "tasks": {"train": {"env": {"TF_CONFIG": {"config_map": "workers", "key": "a"}}}}}
    assert refused(section=own, distribution="multi_worker_mirrored") == []


def test_a_relative_path_is_this_machines_unless_it_is_in_the_image():
    workspace = find_workspace()
    chosen = settings.load(workspace, "flights", "prod", {"sources.flights.uri": "data/flights.csv"})
    with pytest.raises(
        UsageError, match=r"sources\.flights\.uri is data/flights\.csv: a path relative to this machine"
    ):
        require_reachable(chosen, target.KFP, workspace)
    require_reachable(
        settings.load(workspace, "flights", "prod", {"sources.flights.uri": "pipelines/flights/rows.csv"}),
        target.KFP, workspace,
    )  # fmt: skip
