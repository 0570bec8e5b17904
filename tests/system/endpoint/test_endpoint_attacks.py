"""What a careless or hostile caller sends is refused, and the next ordinary request is answered."""

import base64
import contextlib
import json
import os
import resource
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import local_endpoint
from depth import tries
from local_endpoint import compiled, doubling, ended, until, waiting
from repository import ROOT

HTTP = urllib3.PoolManager()
RUNS = "/apis/v2beta1/runs"
NUMBERS = [0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with local_endpoint.running(home) as running:
        client = running.client()
        client.create_experiment("one")
        client.create_experiment("two")
        client.upload_pipeline(compiled(doubling, home / "doubling.yaml"), "known")
        yield running


def ask(endpoint, path, method="GET", **more):
    answer = HTTP.request(method, endpoint.url + path, **more)
    return answer.status, json.loads(answer.data)


def works(endpoint):
    """Reads and writes, as an ordinary caller would."""
    status, made = ask(
        endpoint, "/apis/v2beta1/experiments", "POST", json={"display_name": f"next {os.urandom(6).hex()}"}
    )
    assert status == 200, made
    path = f"/apis/v2beta1/experiments/{made['experiment_id']}"
    assert ask(endpoint, path)[0] == 200
    assert ask(endpoint, path, "DELETE")[0] == 200


def token(**content) -> str:
    fields = {"sort_by": "created_at", "filter": "", "value": "x", "id": "y", **content}
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_page_token_that_holds_a_number_is_refused_and_nothing_stays_open(endpoint, number):
    for path in (RUNS, "/apis/v2beta1/experiments", "/apis/v2beta1/pipelines"):
        for _ in range(12):  # as many as the pool has connections, and more
            status, body = ask(endpoint, path, fields={"page_token": token(value=number)})
            assert (status, body["code"]) == (400, 3)
    works(endpoint)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2)
)
PREDICATES = st.lists(
    st.fixed_dictionaries(
        {
            "operation": st.one_of(
                st.sampled_from(["EQUALS", "NOT_EQUALS", "GREATER_THAN", "LESS_THAN", "IN", "IS_SUBSTRING", 1, 99]), ODD
            ),
            "key": st.one_of(st.sampled_from(["name", "created_at", "id", "state", "description"]), ODD),
        },
        optional={
            name: st.one_of(ODD, st.sampled_from(NUMBERS), st.fixed_dictionaries({"values": st.lists(ODD, max_size=3)}))
            for name in ("string_value", "timestamp_value", "int_value", "long_value", "string_values", "long_values")
        },
    ),
    max_size=3,
)


@settings(max_examples=tries(25, 60), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    path=st.sampled_from([RUNS, "/apis/v2beta1/experiments", "/apis/v2beta1/pipelines", "/apis/v2beta1/recurringruns"]),
    filters=st.one_of(st.none(), PREDICATES, ODD),
    content=st.one_of(st.none(), st.fixed_dictionaries({"value": ODD, "id": ODD, "sort_by": ODD, "filter": ODD})),
    sort_by=st.sampled_from(["", "created_at", "CREATED_AT DESC", "Name asc", "id up", "\ud800"]),
)
def test_no_filter_order_or_token_breaks_it(endpoint, path, filters, content, sort_by):
    fields = {"sort_by": sort_by.encode(errors="surrogatepass")}
    if filters is not None:
        fields["filter"] = json.dumps({"predicates": filters})
    if content is not None:
        fields["page_token"] = token(**content)
    status, body = ask(endpoint, path, fields=fields)
    assert status in (200, 400), body
    if status == 400:
        assert {"error", "code", "message"} <= set(body)


def test_it_works_after_all_that(endpoint):
    works(endpoint)


@pytest.mark.parametrize(
    ("operation", "value", "found"),
    [
        pytest.param("GREATER_THAN", {"timestamp_value": "2020-01-01T00:00:00Z"}, 1, id="after"),
        pytest.param("LESS_THAN", {"timestamp_value": "2020-01-01T00:00:00Z"}, 0, id="before"),
        pytest.param("LESS_THAN", {"timestamp_value": "2100-01-01T02:00:00+02:00"}, 1, id="an offset"),
        pytest.param("GREATER_THAN", {"long_value": 0}, 1, id="seconds since 1970"),
        pytest.param("LESS_THAN", {"long_value": "4102444800"}, 1, id="seconds as a text"),
        pytest.param("GREATER_THAN", {"timestamp_value": "yesterday"}, None, id="no time"),
        pytest.param("GREATER_THAN", {"string_value": "2020-01-01"}, None, id="no zone"),
        pytest.param("IS_SUBSTRING", {"string_value": "2020"}, None, id="a part of a time"),
    ],
)
def test_times_are_compared_as_instants(endpoint, operation, value, found):
    predicates = [{"operation": operation, "key": "created_at", **value}]
    status, body = ask(endpoint, "/apis/v2beta1/pipelines", fields={"filter": json.dumps({"predicates": predicates})})
    assert status == (400 if found is None else 200), body
    if found is not None:
        assert body.get("total_size", 0) == found


def test_a_time_equals_itself_in_any_zone_to_the_second(endpoint):
    made = ask(endpoint, "/apis/v2beta1/pipelines")[1]["pipelines"][0]["created_at"]
    for text in (made, made[:19] + "Z", made[:19] + "+00:00"):
        predicates = [{"operation": "EQUALS", "key": "created_at", "timestamp_value": text}]
        body = ask(endpoint, "/apis/v2beta1/pipelines", fields={"filter": json.dumps({"predicates": predicates})})[1]
        assert body["total_size"] == 1


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize("text", [BOMB, "[" * 200_000, '{"a":' * 50_000, "a: &a [*a]"], ids=lambda text: text[:6])
def test_a_package_that_would_take_minutes_or_the_process_is_refused(endpoint, text):
    for path in (
        "/apis/v2beta1/pipelines/upload?name=bomb",
        "/apis/v2beta1/pipelines/upload_version?name=b&pipelineid=x",
    ):
        status, body = ask(endpoint, path, "POST", fields={"uploadfile": ("bomb.yaml", text)}, timeout=20)
        assert (status, body["code"]) == (400, 3)
    assert endpoint.process.poll() is None
    works(endpoint)


@pytest.mark.parametrize("path", [RUNS, "/apis/v2beta1/pipelines", "/apis/v2beta1/pipelines/create"])
def test_a_body_that_nests_without_end_is_refused(endpoint, path):
    body = ('{"pipeline_spec": ' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "}").encode()
    status, said = ask(endpoint, path, "POST", body=body, headers={"content-type": "application/json"})
    assert status == 400, said
    works(endpoint)


@pytest.mark.parametrize("tags", [{"a": "\ud800"}, {"\ud800": "a"}, {"\ud800": 1}], ids=ascii)
def test_half_a_character_in_a_tag_is_refused_and_lists_go_on(endpoint, tags):
    for path in ("/apis/v2beta1/pipelines", "/apis/v2beta1/pipelines/create"):
        body = json.dumps({"display_name": "half", "tags": tags, "pipeline": {"tags": tags}}).encode()
        status, said = ask(endpoint, path, "POST", body=body, headers={"content-type": "application/json"})
        assert (status, said["code"]) == (400, 3)
    assert ask(endpoint, "/apis/v2beta1/pipelines")[0] == 200


@pytest.mark.parametrize("place", ["deploymentSpec", "root", "note"])
def test_half_a_character_anywhere_in_a_package_is_refused(endpoint, place):
    spec = yaml.safe_load((endpoint.home / "doubling.yaml").read_text())
    if place == "note":
        spec["root"]["inputDefinitions"]["parameters"]["note"]["description"] = "\ud800"
    else:
        spec[place]["\ud800"] = 1
    for kind, more in (("runs", {}), ("recurringruns", {"trigger": {"cron_schedule": {"cron": "@yearly"}}})):
        body = {"display_name": "x", "pipeline_spec": spec, "runtime_config": {"parameters": {"number": 1}}, **more}
        sent = {"body": json.dumps(body).encode(), "headers": {"content-type": "application/json"}}
        assert ask(endpoint, f"/apis/v2beta1/{kind}", "POST", **sent)[0] == 400
    works(endpoint)


@pytest.mark.parametrize("kind", ["experiments", "runs", "recurringruns"])
def test_a_description_that_kfps_database_has_no_room_for_is_refused(endpoint, kind):
    body = {"display_name": f"long {kind}", "description": "x" * 256}
    status, said = ask(endpoint, f"/apis/v2beta1/{kind}", "POST", json=body)
    assert status == 400
    assert "has 256 characters: KFP's database takes 255" in said["message"]


def test_a_database_that_another_program_holds_is_one_answer(endpoint):
    database = endpoint.home / "endpoint" / "endpoint.db"
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        status, body = ask(
            endpoint, "/apis/v2beta1/experiments", "POST", json={"display_name": "while locked"}, timeout=60
        )
        other.execute("ROLLBACK")
    other.close()
    assert (status, body["code"]) == (503, 14)
    works(endpoint)


def test_nobody_else_on_this_machine_can_read_its_state(endpoint):
    client = endpoint.client()
    run = client.create_run_from_pipeline_package(str(endpoint.home / "doubling.yaml"), {"number": 1})
    assert ended(client, run.run_id).state == "SUCCEEDED"
    for folder in (endpoint.home / "endpoint", endpoint.home / "runs"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in endpoint.home.rglob("*") if path.is_file() and path.name != "doubling.yaml"]
    assert files
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_tasks_of_a_killed_process_have_ended(endpoint, tmp_path):
    client = endpoint.client()
    package = compiled(waiting, tmp_path / "waiting.yaml")
    run = client.create_run_from_pipeline_package(package, {"folder": str(tmp_path), "seconds": 300.0}).run_id
    until(lambda: (tmp_path / "starts").exists())
    record = json.loads((endpoint.home / "runs" / run / "run.json").read_text())
    os.killpg(record["process"], 9)
    found = ended(client, run)
    assert found.state == "FAILED"
    states = {task.display_name: task.state for task in found.run_details.task_details}
    assert states == {"double": "SUCCEEDED", "touch-and-wait": "FAILED"}


def test_a_run_does_not_see_the_endpoints_token(tmp_path):
    with local_endpoint.running(tmp_path, "--token", "s3cret-t0ken") as running:
        client = running.client(existing_token="s3cret-t0ken")
        package = compiled(waiting, tmp_path / "waiting.yaml")
        run = client.create_run_from_pipeline_package(package, {"folder": str(tmp_path), "seconds": 60.0}).run_id
        until(lambda: (tmp_path / "starts").exists())
        process = json.loads((tmp_path / "runs" / run / "run.json").read_text())["process"]
        told = Path(f"/proc/{process}/environ").read_bytes()
        (tmp_path / "go").touch()
        assert b"PATH=" in told
        assert b"s3cret-t0ken" not in told
        assert ended(client, run).state == "SUCCEEDED"


def test_a_disk_that_is_full_is_one_answer_and_afterwards_it_works(tmp_path):
    with local_endpoint.running(tmp_path / "home") as running:
        works(running)
        spec = yaml.safe_load(Path(compiled(doubling, tmp_path / "doubling.yaml")).read_text())
        body = {"display_name": "x", "pipeline_spec": spec, "runtime_config": {"parameters": {"number": 1}}}
        process = json.loads((running.home / "endpoint" / "address.json").read_text())["process"]
        before, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (1000, hard))
        for path, sent in (("runs", body), ("experiments", {"display_name": "no room"})):
            status, said = ask(running, f"/apis/v2beta1/{path}", "POST", json=sent)
            assert (status, said["code"]) == (503, 14), said
            assert "does not take it" in said["message"]
        assert list((tmp_path / "home" / "runs").iterdir()) == []
        resource.prlimit(process, resource.RLIMIT_FSIZE, (before, hard))
        works(running)
        assert ask(running, RUNS, "POST", json=body)[0] == 200


@pytest.mark.parametrize("state", ["locked", "no database"])
def test_a_database_that_cannot_be_used_is_one_message(tmp_path, state):
    folder = tmp_path / "endpoint"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / "endpoint.db", isolation_level=None)) as other:
        if state == "locked":
            other.execute("BEGIN EXCLUSIVE")
        else:
            (folder / "endpoint.db").write_bytes(b"no database" * 100)
        done = up(tmp_path, "--port", "0")
    assert done.returncode == 2
    expected = "database is locked" if state == "locked" else "file is not a database"
    assert f"endpoint.db cannot be opened: {expected}" in done.stderr
    assert "Traceback" not in done.stderr


def up(home, *options):
    command = [sys.executable, "-m", "kfp_ct.cli.main", "up", *options]
    environment = {**os.environ, "CT_HOME": str(home)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_a_port_in_use_is_one_message(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up(tmp_path, "--port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    done = up(tmp_path / "file" / "home", "--port", "0")
    assert done.returncode == 2
    assert "cannot be used: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
