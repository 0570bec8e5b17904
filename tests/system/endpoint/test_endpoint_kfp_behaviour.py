"""What KFP's backend does with runs, experiments, pipelines and schedules, the endpoint does, too."""

import json
import os

import pytest
import urllib3
from kfp_server_api import ApiException, V2beta1Pipeline, V2beta1PipelineVersion

import local_endpoint
from local_endpoint import compiled, doubling, ended, until, waiting

HTTP = urllib3.PoolManager()
API = "/apis/v2beta1"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with local_endpoint.running(tmp_path_factory.mktemp("home")) as running:
        yield running


def ask(endpoint, method, path, body=None):
    answer = HTTP.request(method, endpoint.url + path, **({} if body is None else {"json": body}))
    return answer.status, json.loads(answer.data), answer.headers


def spec(folder):
    import yaml

    return yaml.safe_load(open(compiled(doubling, folder / "doubling.yaml")).read())


def unique(name):
    return f"{name} {os.urandom(4).hex()}"


@pytest.fixture
def started(endpoint, tmp_path):
    """A run whose task is at work, and its process."""
    package = compiled(waiting, tmp_path / "waiting.yaml")
    arguments = {"folder": str(tmp_path), "seconds": 300.0}
    run = endpoint.client().create_run_from_pipeline_package(package, arguments).run_id
    until(lambda: (tmp_path / "starts").exists())
    return run, json.loads((endpoint.home / "runs" / run / "run.json").read_text())["process"]


def gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    "first", [(), ("terminate",), ("terminate", "archive")], ids=lambda each: "-".join(each) or "run"
)
def test_a_run_is_deleted_whatever_it_is_at(endpoint, started, first):
    run, process = started
    for action in first:
        assert ask(endpoint, "POST", f"{API}/runs/{run}:{action}")[0] == 200
    assert ask(endpoint, "DELETE", f"{API}/runs/{run}")[0] == 200
    assert ask(endpoint, "GET", f"{API}/runs/{run}")[0] == 404
    until(lambda: gone(process))
    until(lambda: not (endpoint.home / "runs" / run).exists())
    client = endpoint.client()
    path = endpoint.home / "doubling.yaml"
    again = client.create_run_from_pipeline_package(compiled(doubling, path), {"number": 1}).run_id
    assert ended(client, again).state == "SUCCEEDED"
    assert not (endpoint.home / "runs" / run).exists()


def test_a_run_that_waits_is_deleted_and_never_starts(endpoint, started, tmp_path):
    run, _ = started
    client = endpoint.client()
    waits = client.create_run_from_pipeline_package(compiled(doubling, tmp_path / "d.yaml"), {"number": 1}).run_id
    assert client.get_run(waits).state == "PENDING"
    client.delete_run(waits)
    client.delete_run(run)
    after = client.create_run_from_pipeline_package(str(tmp_path / "d.yaml"), {"number": 2}).run_id
    assert ended(client, after).state == "SUCCEEDED"
    assert not (endpoint.home / "runs" / waits).exists()


def test_an_experiment_is_deleted_and_its_runs_stay(endpoint, tmp_path):
    client = endpoint.client()
    group = client.create_experiment(unique("group")).experiment_id
    package = compiled(doubling, tmp_path / "doubling.yaml")
    run = client.create_run_from_pipeline_package(package, {"number": 3}, experiment_id=group).run_id
    schedule = client.create_recurring_run(
        group, unique("every second"), pipeline_package_path=package, params={"number": 1}, interval_second=1
    ).recurring_run_id
    assert ended(client, run).state == "SUCCEEDED"
    client.delete_experiment(group)
    with pytest.raises(ApiException, match="404"):
        client.get_experiment(group)
    assert client.get_run(run).experiment_id == group
    for page in (f"/runs/{run}", f"/schedules/{schedule}", "/runs", "/schedules"):
        assert HTTP.request("GET", endpoint.url + page).status == 200
    # What the schedule would start has nowhere to go, and it says so.
    until(lambda: (found := client.get_recurring_run(schedule).error) and "no experiment" in found.message)
    client.delete_recurring_run(schedule)
    with pytest.raises(ApiException, match="there is no experiment"):
        client.unarchive_run(run)


def test_the_default_experiment_stays(endpoint):
    client = endpoint.client()
    client.create_run_from_pipeline_package(compiled(doubling, endpoint.home / "doubling.yaml"), {"number": 1})
    default = client.get_experiment(experiment_name="Default").experiment_id
    with pytest.raises(ApiException, match="the default experiment cannot be deleted"):
        client.delete_experiment(default)


def test_a_run_of_an_archived_experiment_is_not_restored(endpoint, tmp_path):
    client = endpoint.client()
    group = client.create_experiment(unique("archived")).experiment_id
    package = compiled(doubling, tmp_path / "doubling.yaml")
    run = client.create_run_from_pipeline_package(package, {"number": 1}, experiment_id=group).run_id
    ended(client, run)
    client.archive_experiment(group)
    with pytest.raises(ApiException, match="is archived"):
        client.unarchive_run(run)
    client.unarchive_experiment(group)
    client.unarchive_run(run)
    assert client.get_run(run).storage_state == "AVAILABLE"


def test_display_names_and_tags_change_and_the_rest_stays(endpoint, tmp_path):
    client = endpoint.client()
    made = client.upload_pipeline(compiled(doubling, tmp_path / "d.yaml"), unique("patched"), description="kept")
    api = client._pipelines_api
    changed = api.pipeline_service_update_pipeline(
        made.pipeline_id, V2beta1Pipeline(display_name="Shown", description="new", tags={"team": "delays"})
    )
    assert (changed.name, changed.display_name, changed.description) == (made.name, "Shown", "kept")
    assert changed.tags == {"team": "delays"}
    changed = api.pipeline_service_update_pipeline(made.pipeline_id, V2beta1Pipeline(display_name="Again"))
    assert (changed.display_name, changed.tags) == ("Again", {"team": "delays"})
    changed = api.pipeline_service_update_pipeline(made.pipeline_id, V2beta1Pipeline(tags={}))
    assert (changed.display_name, changed.tags) == ("Again", {})

    version = client.list_pipeline_versions(made.pipeline_id).pipeline_versions[0]
    key = version.pipeline_version_id
    changed = api.pipeline_service_update_pipeline_version(
        made.pipeline_id, key, V2beta1PipelineVersion(display_name="First", tags={"stage": "prod"})
    )
    assert (changed.name, changed.display_name, changed.tags) == (version.name, "First", {"stage": "prod"})
    assert client.get_pipeline_version(made.pipeline_id, key).tags == {"stage": "prod"}
    assert ask(endpoint, "PATCH", f"{API}/pipelines/none", {"display_name": "x"})[0] == 404
    assert ask(endpoint, "PATCH", f"{API}/pipelines/{made.pipeline_id}/versions/none", {})[0] == 404


@pytest.mark.parametrize(
    "tags", [{"a.b": "c"}, {"": "c"}, {"x" * 64: "c"}, {"a": "x" * 64}, {f"t{n}": "" for n in range(21)}, {"a": 1}]
)
def test_tags_that_kfp_would_refuse_are_refused(endpoint, tags):
    assert ask(endpoint, "POST", f"{API}/pipelines", {"display_name": unique("tagged"), "tags": tags})[0] == 400


def test_lists_filter_by_tags(endpoint):
    for tags in ({"stage": "prod", "team": "a"}, {"stage": "prod", "team": "b"}, {"stage": "dev"}, {}):
        assert ask(endpoint, "POST", f"{API}/pipelines", {"display_name": unique("f"), "tags": tags})[0] == 200

    def found(**wanted):
        predicates = [
            {"key": f"tags.{key}", "operation": "EQUALS", "string_value": each} for key, each in wanted.items()
        ]
        fields = {"filter": json.dumps({"predicates": predicates})}
        answer = HTTP.request("GET", f"{endpoint.url}{API}/pipelines", fields=fields)
        return json.loads(answer.data).get("total_size", 0)

    assert (found(stage="prod"), found(stage="prod", team="b"), found(team="c"), found(**{'"': "x"})) == (2, 1, 0, 0)
    bad = {"predicates": [{"key": "tags.stage", "operation": "IS_SUBSTRING", "string_value": "p"}]}
    answer = HTTP.request("GET", f"{endpoint.url}{API}/pipelines", fields={"filter": json.dumps(bad)})
    assert answer.status == 400


def test_the_url_of_the_sources_is_kept(endpoint, tmp_path):
    made = ask(endpoint, "POST", f"{API}/pipelines", {"display_name": unique("sourced")})[1]["pipeline_id"]
    body = {"name": "one", "pipeline_spec": spec(tmp_path), "code_source_url": "https://example.org/commit/1"}
    status, version, _ = ask(endpoint, "POST", f"{API}/pipelines/{made}/versions", body)
    assert (status, version["code_source_url"]) == (200, "https://example.org/commit/1")
    listed = ask(endpoint, "GET", f"{API}/pipelines/{made}/versions")[1]["pipeline_versions"]
    assert [each["code_source_url"] for each in listed] == ["https://example.org/commit/1"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pipelines", {"display_name": "x" * 129}),
        ("pipelines", {"name": "short", "display_name": "x" * 256}),
        ("experiments", {"display_name": "x" * 129}),
        ("runs", {"display_name": "x" * 256}),
        ("recurringruns", {"display_name": "x" * 256}),
    ],
)
def test_names_are_as_long_as_kfps_database_takes(endpoint, tmp_path, path, body):
    more = {"pipeline_spec": spec(tmp_path), "runtime_config": {"parameters": {"number": 1}}} if "runs" in path else {}
    assert ask(endpoint, "POST", f"{API}/{path}", {**body, **more})[0] == 400
    shorter = {key: each[:-1] for key, each in body.items()}
    assert ask(endpoint, "POST", f"{API}/{path}", {**shorter, **more})[0] == 200


def test_a_recurring_run_without_a_schedule_runs_once(endpoint, tmp_path):
    body = {
        "display_name": unique("once"),
        "pipeline_spec": spec(tmp_path),
        "runtime_config": {
            "parameters": {"number": 4, "note": "[[Index]] [[RunUUID]] {{$.scheduledTime.strftime('%Y')}}"}
        },
    }
    status, made, _ = ask(endpoint, "POST", f"{API}/recurringruns", body)
    assert status == 200, made
    client = endpoint.client()

    def runs():
        return [
            run
            for run in client.list_runs(page_size=200).runs or []
            if run.recurring_run_id == made["recurring_run_id"]
        ]

    (run,) = until(runs)
    assert run.runtime_config.parameters["note"] == f"1 {run.run_id} {run.created_at.year}"
    assert ended(client, run.run_id).state == "SUCCEEDED"
    assert len(runs()) == 1
    assert "once" in HTTP.request("GET", f"{endpoint.url}/schedules/{made['recurring_run_id']}").data.decode()
    client.delete_recurring_run(made["recurring_run_id"])


def test_macros_of_a_run_that_is_asked_for_are_filled_in(endpoint, tmp_path):
    parameters = {"number": 1, "note": "[[RunUUID]] [[CurrentTime.2006]] [[ScheduledTime]] [[Index]]"}
    body = {"display_name": "m", "pipeline_spec": spec(tmp_path), "runtime_config": {"parameters": parameters}}
    run = ask(endpoint, "POST", f"{API}/runs", body)[1]
    note = run["runtime_config"]["parameters"]["note"]
    assert note == f"{run['run_id']} {run['created_at'][:4]} [[ScheduledTime]] [[Index]]"


def test_what_is_ignored_here_is_kept_and_named(endpoint, tmp_path):
    body = {
        "display_name": "ignoring",
        "pipeline_spec": spec(tmp_path),
        "runtime_config": {"parameters": {"number": 1}, "pipeline_root": "s3://bucket/root"},
        "service_account": "trainer",
    }
    for path, more in (("runs", {}), ("recurringruns", {"trigger": {"cron_schedule": {"cron": "@yearly"}}})):
        status, made, headers = ask(endpoint, "POST", f"{API}/{path}", {**body, **more})
        assert status == 200
        assert made["service_account"] == "trainer"
        assert made["runtime_config"]["pipeline_root"] == "s3://bucket/root"
        assert headers["Warning"].startswith('199 kfp-ct "ignored here: pipeline_root, artifacts are')
        assert "ignored here: service_account, " in headers["Warning"]
        if path == "runs":
            page = HTTP.request("GET", f"{endpoint.url}/runs/{made['run_id']}").data.decode()
            assert page.count("ignored here: ") == 2
    del body["service_account"], body["runtime_config"]["pipeline_root"]
    assert "Warning" not in ask(endpoint, "POST", f"{API}/runs", body)[2]


def test_a_platform_document_stands_beside_the_pipelines(endpoint, tmp_path):
    from kfp import compiler, dsl, kubernetes

    @dsl.component(base_image=local_endpoint.IMAGE, install_kfp_package=False)
    def twice(number: int) -> int:
        return 2 * number

    @dsl.pipeline(name="secretive")
    def secretive(secret_name: str = "my-secret-7", number: int = 1):
        task = twice(number=number)
        kubernetes.use_secret_as_env(task, secret_name=secret_name, secret_key_to_env={"password": "PASSWORD"})

    file = tmp_path / "secretive.yaml"
    compiler.Compiler().compile(secretive, str(file))
    client = endpoint.client()
    pipeline = client.upload_pipeline(str(file), pipeline_name=unique("secretive"))
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    found = client.get_pipeline_version(pipeline.pipeline_id, version.pipeline_version_id).pipeline_spec
    assert set(found) == {"pipeline_spec", "platform_spec"}
    assert found["pipeline_spec"]["pipelineInfo"]["name"] == "secretive"
    assert set(found["platform_spec"]["platforms"]) == {"kubernetes"}
    body = {"display_name": "again", "pipeline_spec": found, "runtime_config": {"parameters": {"number": 2}}}
    assert ask(endpoint, "POST", f"{API}/runs", body)[0] == 200


def test_a_run_whose_parameters_name_files_that_are_not_there_is_refused(endpoint):
    from kfp_ct.package import package

    compiled = package.compile_pipeline("pipelines.training", "named-files")
    parameters = {"query": "pipelines/nowhere.sql"}
    body = {"display_name": "f", "pipeline_spec": compiled, "runtime_config": {"parameters": parameters}}
    status, answer, _ = ask(endpoint, "POST", f"{API}/runs", body)
    assert status == 400
    assert 'query is "pipelines/nowhere.sql": there is no such query' in answer["message"]


def test_values_arrive_as_they_were_given(endpoint, tmp_path):
    from typing import Optional

    from kfp import compiler, dsl

    @dsl.component(base_image=local_endpoint.IMAGE, install_kfp_package=False)
    def seen(text: str, limits: dict, maybe: Optional[str] = None) -> str:  # noqa: UP045 - kfp reads it
        return repr((len(text), text[:12], limits, maybe))

    @dsl.pipeline(name="values")
    def values(text: str, limits: dict, maybe: Optional[str] = None) -> str:  # noqa: UP045
        return seen(text=text, limits=limits, maybe=maybe).output

    compiler.Compiler().compile(values, str(tmp_path / "values.yaml"))
    text, limits = "a {{$}} b " + "ä" * 1_000_000, {"none": None, "deep": [1, 2.5, {"on": False}]}
    arguments = {"text": text, "limits": limits, "maybe": None}
    run = endpoint.client().create_run_from_pipeline_package(str(tmp_path / "values.yaml"), arguments)
    assert ended(endpoint.client(), run.run_id).state == "SUCCEEDED"
    record = json.loads((endpoint.home / "runs" / run.run_id / "run.json").read_text())
    assert record["outputs"]["Output"] == repr((len(text), text[:12], limits, None))
