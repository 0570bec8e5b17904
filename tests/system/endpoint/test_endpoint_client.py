"""The official client against the real endpoint: pipelines, versions, experiments, runs, what is refused."""

import base64
import json
import subprocess
import sys
import tarfile
import zipfile

import kfp
import kfp_server_api
import pytest
import urllib3
from kfp import dsl

import local_endpoint
from ct_command import ct
from local_endpoint import IMAGE, compiled, double, doubling, ended, until, waiting
from repository import AUTHOR


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_endpoint.running(tmp_path_factory.mktemp("home"), "--parallel", "2") as running:
        yield running


@pytest.fixture(scope="module")
def client(endpoint):
    return endpoint.client()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return compiled(doubling, tmp_path_factory.mktemp("packages") / "doubling.yaml")


@pytest.fixture(scope="module")
def pipeline(client, package):
    return client.upload_pipeline(package, "doubling", description="Twice, twice")


@pytest.fixture(scope="module")
def version(client, package, pipeline):
    return client.upload_pipeline_version(package, "v1", pipeline_id=pipeline.pipeline_id, description="first")


def test_it_is_healthy(client):
    assert client.get_kfp_healthz().multi_user is False


def test_a_pipeline_is_uploaded_once_and_found(client, package, pipeline):
    assert client.get_pipeline_id("doubling") == pipeline.pipeline_id
    found = client.get_pipeline(pipeline.pipeline_id)
    assert (found.display_name, found.description) == ("doubling", "Twice, twice")
    assert found.created_at.tzinfo is not None
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.upload_pipeline(package, "doubling")
    assert refused.value.status == 409
    assert json.loads(refused.value.body)["code"] == 6


def test_versions_are_listed_newest_first_and_hold_the_package(client, package, pipeline, version):
    found = client.list_pipeline_versions(pipeline.pipeline_id, sort_by="created_at desc")
    assert [each.display_name for each in found.pipeline_versions] == ["v1", "doubling"]
    whole = client.get_pipeline_version(pipeline.pipeline_id, version.pipeline_version_id)
    assert whole.pipeline_spec["pipelineInfo"]["name"] == "doubling"
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.upload_pipeline_version(package, "v1", pipeline_id=pipeline.pipeline_id)
    assert refused.value.status == 409


def test_an_archive_is_uploaded_too(client, package, tmp_path):
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(package, "doubling.yaml")
    with tarfile.open(tmp_path / "one.tar.gz", "w:gz") as archive:
        archive.add(package, "pipeline.yaml")
        archive.add(package, "other.yaml")
    for name in ("one.zip", "one.tar.gz"):
        made = client.upload_pipeline(str(tmp_path / name), f"from {name}")
        client.delete_pipeline_version(
            made.pipeline_id, client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0].pipeline_version_id
        )
        client.delete_pipeline(made.pipeline_id)
        assert client.get_pipeline_id(f"from {name}") is None


def test_a_pipeline_with_versions_is_not_deleted(client, pipeline, version):
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.delete_pipeline(pipeline.pipeline_id)
    assert (refused.value.status, json.loads(refused.value.body)["code"]) == (400, 9)


def test_a_run_of_a_version_succeeds_and_tells_of_its_tasks(client, pipeline, version):
    experiment = client.create_experiment("arithmetic")
    run = client.run_pipeline(
        experiment.experiment_id, "twice two", params={"number": 2},
        pipeline_id=pipeline.pipeline_id, version_id=version.pipeline_version_id,
    )  # fmt: skip
    done = client.wait_for_run_completion(run.run_id, timeout=120, sleep_duration=1)
    assert done.state == "SUCCEEDED", done.error
    assert [each.state for each in done.state_history] == ["PENDING", "RUNNING", "SUCCEEDED"]
    tasks = {task.display_name: task for task in done.run_details.task_details}
    assert {name: task.state for name, task in tasks.items()} == {"double": "SUCCEEDED", "double-2": "SUCCEEDED"}
    assert tasks["double-2"].start_time >= tasks["double"].end_time
    assert done.runtime_config.parameters == {"number": 2}
    listed = client.list_runs(experiment_id=experiment.experiment_id)
    assert [each.run_id for each in listed.runs] == [run.run_id]


def test_a_run_of_a_package_and_of_a_function(client, package):
    done = client.create_run_from_pipeline_package(package, arguments={"number": 5}, experiment_name="direct")
    assert ended(client, done.run_id).state == "SUCCEEDED"
    assert client.get_run(done.run_id).pipeline_spec["pipelineInfo"]["name"] == "doubling"
    # As a notebook does it: kfp would install itself in the task's container, which is done already here.

    @dsl.component(base_image="python:3.12")
    def greet(name: str) -> str:
        return f"hello {name}"

    @dsl.pipeline
    def greeting(name: str = "world"):
        greet(name=name)

    done = client.create_run_from_pipeline_func(greeting, arguments={}, experiment_name="direct")
    assert ended(client, done.run_id).state == "SUCCEEDED"


def test_a_failing_task_fails_the_run_and_a_retry_goes_on_from_it(client, tmp_path):
    package = compiled(waiting, tmp_path / "waiting.yaml")
    (tmp_path / "fail").touch()
    run = client.create_run_from_pipeline_package(package, arguments={"folder": str(tmp_path), "seconds": 0.0})
    failed = ended(client, run.run_id)
    assert failed.state == "FAILED"
    assert "asked to fail" in failed.error.message
    with pytest.raises(kfp_server_api.ApiException):
        client.terminate_run(run.run_id)
    (tmp_path / "fail").unlink()
    client._run_api.run_service_retry_run(run_id=run.run_id)
    again = until(lambda: (found := client.get_run(run.run_id)).state == "SUCCEEDED" and found)
    assert [each.state for each in again.state_history] == [
        "PENDING", "RUNNING", "FAILED", "PENDING", "RUNNING", "SUCCEEDED",
    ]  # fmt: skip
    assert (tmp_path / "starts").read_text() == "xx"
    with pytest.raises(kfp_server_api.ApiException):
        client._run_api.run_service_retry_run(run_id=run.run_id)


def test_a_run_is_terminated_whether_it_waits_or_works(client, tmp_path):
    package = compiled(waiting, tmp_path / "waiting.yaml")
    runs = [
        client.create_run_from_pipeline_package(package, arguments={"folder": str(tmp_path), "number": n}).run_id
        for n in range(3)
    ]
    until(lambda: (tmp_path / "starts").exists() and (tmp_path / "starts").read_text() == "xx")
    assert client.get_run(runs[2]).state == "PENDING"
    for run in reversed(runs):
        client.terminate_run(run)
    for run in runs:
        done = ended(client, run)
        assert (done.state, done.error.code) == ("FAILED", 1)
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_run_is_archived_restored_and_deleted(client, package):
    run = client.create_run_from_pipeline_package(package, arguments={"number": 7}, experiment_name="direct").run_id
    ended(client, run)
    client.archive_run(run)
    kept = json.dumps({"predicates": [{"operation": "EQUALS", "key": "storage_state", "string_value": "ARCHIVED"}]})
    assert [each.run_id for each in client.list_runs(filter=kept).runs] == [run]
    client.unarchive_run(run)
    client.delete_run(run)
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.get_run(run)
    assert refused.value.status == 404


def test_whatever_was_made_is_taken_away_in_the_order_of_kubeflows_own_tests(client, package):
    """A run is terminated, archived and deleted; then schedule, experiment, versions, pipeline."""
    pipeline = client.upload_pipeline(package, "taken away", description="for a while")
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    experiment = client.create_experiment("taken away", description="for a while").experiment_id
    for wait in (False, True):
        run = client.run_pipeline(
            experiment, "taken away", pipeline_id=pipeline.pipeline_id, version_id=version.pipeline_version_id,
            params={"number": 1},
        ).run_id  # fmt: skip
        assert run in [each.run_id for each in client.list_runs(experiment_id=experiment, page_size=50).runs]
        if wait:  # KFP refuses to terminate what has ended, too
            ended(client, run)
            with pytest.raises(kfp_server_api.ApiException, match="has ended: SUCCEEDED"):
                client.terminate_run(run)
        else:
            client.terminate_run(run)
        client.archive_run(run)
        client.delete_run(run)
    schedule = client.create_recurring_run(
        experiment, "taken away", pipeline_package_path=package, interval_second=300, params={"number": 1}
    ).recurring_run_id
    assert client.get_recurring_run(schedule).display_name == "taken away"
    client.disable_recurring_run(schedule)
    client.delete_recurring_run(schedule)
    client.archive_experiment(experiment)
    client.delete_experiment(experiment)
    for each in client.list_pipeline_versions(pipeline.pipeline_id, page_size=50).pipeline_versions:
        client.delete_pipeline_version(pipeline.pipeline_id, each.pipeline_version_id)
    client.delete_pipeline(pipeline.pipeline_id)
    assert not client.list_runs(experiment_id=experiment).runs
    for get, gone in ((client.get_pipeline, pipeline.pipeline_id), (client.get_recurring_run, schedule)):
        with pytest.raises(kfp_server_api.ApiException) as refused:
            get(gone)
        assert refused.value.status == 404


def test_lists_are_paged_without_a_gap(client):
    names = [f"paged {n:02}" for n in range(7)]
    for name in names:
        client.create_experiment(name)
    wanted = json.dumps({"predicates": [{"operation": "IS_SUBSTRING", "key": "name", "stringValue": "paged"}]})
    found, token = [], ""
    while True:
        page = client.list_experiments(page_size=3, sort_by="name desc", filter=wanted, page_token=token)
        found += [each.display_name for each in page.experiments]
        assert page.total_size == 7
        token = page.next_page_token
        if not token:
            break
        client.create_experiment(f"paged zz {len(found)}")  # what comes meanwhile shifts nothing
        wanted_total = client.list_experiments(filter=wanted).total_size
        client.delete_experiment(client.get_experiment(experiment_name=f"paged zz {len(found)}").experiment_id)
        assert wanted_total == 8
    assert found == sorted(names, reverse=True)


def test_an_archived_experiment_takes_no_runs(client, package):
    made = client.create_experiment("closed")
    client.archive_experiment(made.experiment_id)
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.run_pipeline(made.experiment_id, "late", pipeline_package_path=package, params={"number": 1})
    assert "archived" in json.loads(refused.value.body)["message"]
    client.unarchive_experiment(made.experiment_id)
    client.delete_experiment(made.experiment_id)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "number is missing"),
        ({"number": "two"}, "expected a whole number"),
        ({"number": 1, "nr": 2}, "no such input"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(client, package, parameters, said):
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.run_pipeline(None, "bad", pipeline_package_path=package, params=parameters)
    assert said in json.loads(refused.value.body)["message"]


def test_what_cannot_run_here_is_kept_and_fails_with_the_reason(client, tmp_path):
    @dsl.container_component
    def shell():
        return dsl.ContainerSpec(image="alpine", command=["true"])

    @dsl.pipeline
    def containers():
        shell()

    for pipeline, said in ((containers, "container component"),):
        package = compiled(pipeline, tmp_path / "bad.yaml")
        client.upload_pipeline(package, pipeline.name)
        assert said in client._upload_api.api_client.last_response.getheader("Warning")
        run = client.create_run_from_pipeline_package(package)
        assert said in client._run_api.api_client.last_response.getheader("Warning")
        done = ended(client, run.run_id)
        assert done.state == "FAILED"
        assert done.error.message.startswith("this machine cannot run the pipeline")
        assert said in done.error.message
    (tmp_path / "text.yaml").write_text("hello: world\n")
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.upload_pipeline(str(tmp_path / "text.yaml"), "text")
    assert "no compiled pipeline" in json.loads(refused.value.body)["message"]


def test_a_loop_runs_and_its_tasks_are_told_one_by_one(client, tmp_path):
    @dsl.pipeline
    def loops(numbers: list = [1, 2]):  # noqa: B006 - kfp copies it
        with dsl.ParallelFor(numbers) as number:
            double(number=number)

    run = client.create_run_from_pipeline_package(
        compiled(loops, tmp_path / "loops.yaml"), arguments={"numbers": [1, 2, 5]}, run_name="loops"
    )
    done = client.wait_for_run_completion(run.run_id, timeout=120)
    assert done.state == "SUCCEEDED"
    told = {task.display_name: task.state for task in done.run_details.task_details}
    assert told == {"double.0": "SUCCEEDED", "double.1": "SUCCEEDED", "double.2": "SUCCEEDED"}


def test_the_kfp_command_line(endpoint, package):
    def run(*arguments):
        command = [sys.executable, str(AUTHOR / "bin/kfp"), "--endpoint", endpoint.url, "--output", "json", *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout[min(at for at in (result.stdout.find("{"), result.stdout.find("[")) if at >= 0) :]

    made = json.loads(run("pipeline", "create", "-p", "by command", package))
    assert made["display_name"] == "by command"
    names = [each["display_name"] for each in json.loads(run("pipeline", "list"))]
    assert "by command" in names
    assert json.loads(run("experiment", "create", "by command"))["display_name"] == "by command"
    assert isinstance(json.loads(run("run", "list")), list)


def test_what_a_task_wrote_is_read_and_nothing_else(endpoint, client, tmp_path):
    @dsl.component(base_image=IMAGE, install_kfp_package=False)
    def write(text: str, file: dsl.Output[dsl.Artifact], elsewhere: dsl.Output[dsl.Artifact]):
        with open(file.path, "w") as out:
            out.write(text)
        elsewhere.uri = "/etc/hostname"

    @dsl.pipeline
    def writing():
        write(text="read me")

    made = client.create_run_from_pipeline_package(compiled(writing, tmp_path / "writing.yaml"), arguments={})
    assert ended(client, made.run_id).state == "SUCCEEDED"
    http, url = urllib3.PoolManager(), f"{endpoint.url}/apis/v2beta1/runs/{made.run_id}/nodes/write/artifacts"
    assert base64.b64decode(http.request("GET", f"{url}/file:read").json()["data"]) == b"read me"
    assert http.request("GET", f"{url}/elsewhere:read").status == 404
    assert http.request("GET", f"{url}/none:read").status == 404


def test_an_upload_that_is_too_large_is_refused(endpoint, client, tmp_path):
    (tmp_path / "large.yaml").write_bytes(b"#" * (34 << 20))
    with pytest.raises(kfp_server_api.ApiException) as refused:
        client.upload_pipeline(str(tmp_path / "large.yaml"), "large")
    assert refused.value.status == 400
    assert client.get_kfp_healthz()


def test_a_name_from_elsewhere_and_another_sites_page_are_kept_out(endpoint):
    http = urllib3.PoolManager()
    url = f"{endpoint.url}/apis/v2beta1/experiments"
    assert http.request("GET", url, headers={"Host": "evil.example"}).status == 403
    body = json.dumps({"display_name": "forged"})
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert http.request("POST", url, body=body, headers=headers).status == 403
    filters = json.dumps({"predicates": [{"operation": "EQUALS", "key": "name", "string_value": "forged"}]})
    assert "experiments" not in http.request("GET", url, fields={"filter": filters}).json()


def test_with_a_token_only_who_knows_it_is_served(tmp_path):
    with local_endpoint.running(tmp_path / "home", "--token", "correct horse") as guarded:
        with pytest.raises(kfp_server_api.ApiException) as refused:
            guarded.client(existing_token="battery staple").list_pipelines()
        assert refused.value.status == 401
        assert guarded.client(existing_token="correct horse").list_pipelines().total_size in (0, None)


def test_a_second_endpoint_over_the_same_state_is_refused(endpoint):
    done = ct(endpoint.home, "up", "--port", "0")
    assert done.code == 2
    assert endpoint.url in done.err


def test_every_answer_is_made_of_what_the_api_defines(client, version, pipeline):
    """kfp_server_api is generated from KFP's API definition; its reader drops what it does not know, this does not."""
    messages = {
        "V2beta1Pipeline": f"pipelines/{pipeline.pipeline_id}",
        "V2beta1PipelineVersion": f"pipelines/{pipeline.pipeline_id}/versions/{version.pipeline_version_id}",
        "V2beta1ListRunsResponse": "runs",
        "V2beta1Run": f"runs/{client.list_runs(page_size=1).runs[0].run_id}",
        "V2beta1ListExperimentsResponse": "experiments",
        "V2beta1GetHealthzResponse": "healthz",
    }
    for name, path in messages.items():
        answer = client._run_api.api_client.call_api(
            f"/apis/v2beta1/{path}", "GET", response_type="object", _return_http_data_only=True, auth_settings=[]
        )
        known = set(getattr(kfp_server_api, name).attribute_map.values())
        assert set(answer) <= known, name
    assert kfp.__version__ >= "2.16"
