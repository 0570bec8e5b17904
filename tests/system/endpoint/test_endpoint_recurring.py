"""Schedules fire through the official client, and runs and schedules outlive the endpoint."""

import json
import os
import signal
import time

import kfp_server_api
import pytest

import local_endpoint
from local_endpoint import compiled, doubling, ended, until, waiting


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_endpoint.running(tmp_path_factory.mktemp("home"), "--parallel", "3") as running:
        yield running


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return compiled(doubling, tmp_path_factory.mktemp("packages") / "doubling.yaml")


def runs_of(client, recurring_run_id):
    wanted = {"predicates": [{"operation": "EQUALS", "key": "recurring_run_id", "string_value": recurring_run_id}]}
    return client.list_runs(filter=json.dumps(wanted), sort_by="scheduled_at", page_size=100).runs or []


def test_a_schedule_fires_on_time_with_what_its_parameters_say_then(endpoint, package):
    client = endpoint.client()
    experiment = client.create_experiment("on time")
    made = client.create_recurring_run(
        experiment.experiment_id, "every second", cron_expression="* * * * * *", pipeline_package_path=package,
        params={"number": 4, "note": "due [[ScheduledTime]] no [[Index]]"}, no_catchup=True, max_concurrency=2,
    )  # fmt: skip
    assert (made.status, made.trigger.cron_schedule.cron) == ("ENABLED", "* * * * * *")
    until(lambda: len(runs_of(client, made.recurring_run_id)) >= 2)
    client.disable_recurring_run(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    runs = runs_of(client, made.recurring_run_id)
    time.sleep(1.5)
    assert len(runs_of(client, made.recurring_run_id)) == len(runs)
    first = runs[0]
    assert (first.created_at - first.scheduled_at).total_seconds() < 5
    assert len({run.scheduled_at for run in runs}) == len(runs)
    assert first.runtime_config.parameters["note"] == f"due {first.scheduled_at:%Y%m%d%H%M%S} no 1"
    assert {ended(client, run.run_id).state for run in runs} == {"SUCCEEDED"}
    listed = client.list_recurring_runs(experiment_id=experiment.experiment_id).recurring_runs
    assert [each.display_name for each in listed] == ["every second"]
    client.delete_recurring_run(made.recurring_run_id)
    with pytest.raises(kfp_server_api.ApiException):
        client.get_recurring_run(made.recurring_run_id)
    assert client.get_run(first.run_id).state == "SUCCEEDED"


def test_it_follows_the_newest_version_unless_one_is_pinned(endpoint, package):
    client = endpoint.client()
    pipeline = client.upload_pipeline(package, "followed").pipeline_id
    first = client.list_pipeline_versions(pipeline).pipeline_versions[0].pipeline_version_id
    experiment = client.create_experiment("followed").experiment_id
    pinned = client.create_recurring_run(
        experiment, "pinned", interval_second=1, pipeline_id=pipeline, version_id=first, params={"number": 1}
    )
    body = kfp_server_api.V2beta1RecurringRun(
        experiment_id=experiment, display_name="latest", max_concurrency="1", mode="ENABLE", no_catchup=True,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(pipeline_id=pipeline),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters={"number": 2}),
        trigger=kfp_server_api.V2beta1Trigger(
            periodic_schedule=kfp_server_api.V2beta1PeriodicSchedule(interval_second="1")
        ),
    )  # fmt: skip
    second = client.upload_pipeline_version(package, "second", pipeline_id=pipeline).pipeline_version_id
    latest = client._recurring_run_api.recurring_run_service_create_recurring_run(body)
    for made, version in ((pinned, first), (latest, second)):
        run = until(lambda made=made: runs_of(client, made.recurring_run_id))[0]
        assert run.pipeline_version_reference.pipeline_version_id == version
        client.delete_recurring_run(made.recurring_run_id)


def test_no_more_go_on_at_once_than_allowed(endpoint, tmp_path):
    client = endpoint.client()
    package = compiled(waiting, tmp_path / "waiting.yaml")
    made = client.create_recurring_run(
        client.create_experiment("bounded").experiment_id, "bounded", interval_second=1,
        pipeline_package_path=package, params={"folder": str(tmp_path)}, max_concurrency=1,
    )  # fmt: skip
    until(lambda: (tmp_path / "starts").exists())
    time.sleep(2.5)
    assert len(runs_of(client, made.recurring_run_id)) == 1
    (tmp_path / "go").touch()
    until(lambda: len(runs_of(client, made.recurring_run_id)) >= 2)
    client.delete_recurring_run(made.recurring_run_id)
    for run in runs_of(client, made.recurring_run_id):
        ended(client, run.run_id)


@pytest.mark.parametrize("wrong", [{"cron_expression": "daily"}, {"interval_second": 60, "max_concurrency": 11}])
def test_a_schedule_that_could_not_fire_is_refused(endpoint, package, wrong):
    client = endpoint.client()
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.create_recurring_run(None, "wrong", pipeline_package_path=package, params={"number": 1}, **wrong)
    assert refused.value.status == 400


def test_a_killed_endpoint_finds_its_runs_again_and_none_runs_twice(tmp_path):
    package = compiled(waiting, tmp_path / "waiting.yaml")
    folders = [tmp_path / f"run{number}" for number in range(3)]
    with local_endpoint.running(tmp_path / "home") as endpoint:
        client = endpoint.client()
        for folder in folders:
            folder.mkdir()
        made = [
            client.create_run_from_pipeline_package(package, arguments={"folder": str(folder)}).run_id
            for folder in folders
        ]
        schedule = client.create_recurring_run(
            None, "later", interval_second=3600, pipeline_package_path=package, params={"folder": str(tmp_path)}
        ).recurring_run_id
        until(lambda: (folders[0] / "starts").exists())
        endpoint.kill()
        # The run goes on without its endpoint, and the next one takes it over.
        client = endpoint.start().client()
        assert [client.get_run(run).state for run in made] == ["RUNNING", "PENDING", "PENDING"]
        assert client.get_recurring_run(schedule).status == "ENABLED"
        (folders[0] / "go").touch()
        assert ended(client, made[0]).state == "SUCCEEDED"
        # The second one dies with the endpoint, as when the machine is switched off.
        until(lambda: (folders[1] / "starts").exists())
        worker = json.loads((tmp_path / "home" / "runs" / made[1] / "run.json").read_text())["process"]
        endpoint.kill()
        os.kill(worker, signal.SIGKILL)
        client = endpoint.start().client()
        lost = ended(client, made[1])
        assert (lost.state, "interrupted" in lost.error.message) == ("FAILED", True)
        (folders[2] / "go").touch()
        assert ended(client, made[2]).state == "SUCCEEDED"
        (folders[1] / "go").touch()
        client._run_api.run_service_retry_run(run_id=made[1])
        until(lambda: client.get_run(made[1]).state == "SUCCEEDED")
        assert [(folder / "starts").read_text() for folder in folders] == ["x", "xx", "x"]
        tasks = json.loads((tmp_path / "home" / "runs" / made[1] / "run.json").read_text())["tasks"]
        assert [task["state"] for task in tasks] == ["CACHED", "SUCCEEDED"]
