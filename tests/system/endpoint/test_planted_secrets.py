"""Secrets are planted wherever one can stand; nothing that is written, printed, answered or shown has one of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
import yaml
from kfp import dsl
from kfp_server_api import ApiException

import local_endpoint
from ct_command import ct
from local_endpoint import IMAGE, compiled, doubling, ended
from repository import ROOT

HTTP = urllib3.PoolManager()
PASSWORD, TOKEN, KEY, VARIABLE = (
    "S3cretPw-1",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "k3y-0f-the-house",
    "v4riable-s3cret",
)
PLANTED = (PASSWORD, TOKEN, KEY, VARIABLE)
URI = f"http://user:{PASSWORD}@127.0.0.1:9"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def leak(reference: str, page: dsl.Output[dsl.HTML], fails: bool = False) -> str:
    """Does with secrets what careless code does."""
    import os
    import sys

    from kfp_ct.base import secrets

    uri = secrets.resolve(reference)
    print(f"summary: connected to {uri}")
    print(dict(os.environ))
    print(f"trying {uri}", file=sys.stderr)
    page.metadata["source"] = uri
    page.metadata["api_key"] = os.environ["HOUSE_KEY"]
    with open(page.path, "w") as file:
        file.write("<p>a page</p>")
    if fails:
        raise RuntimeError(f"no answer from {uri}, signed in with {os.environ['HOUSE_KEY']}")
    return f"{uri} {os.environ['HOUSE_KEY']} {os.environ['GIT_TOKEN']}"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finish(text: str) -> str:
    return text


@dsl.pipeline(name="leaking")
def leaking(reference: str, fails: bool = False):
    finish(text=leak(reference=reference, fails=fails).outputs["Output"])


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRY_ADDRESS", URI)
        patch.setenv("GIT_TOKEN", TOKEN)
        patch.setenv("HOUSE_KEY", KEY)
        patch.setenv("SOME_SECRET", VARIABLE)
        with local_endpoint.running(home) as running:
            yield running


def found_in(folder: Path) -> list[str]:
    """The files below a folder that hold a planted secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [f"{path}: {each}" for path in files for each in PLANTED if each.encode() in path.read_bytes()]


def pages(endpoint, run: str) -> dict[str, str]:
    tasks = ("leak", "finish")
    paths = ["/runs", f"/runs/{run}", f"/runs/{run}/report", f"/runs/compare?r={run}", f"/runs/new?again={run}",
             "/pipelines", "/schedules", "/experiments", "/models", "/triggers", "/apis/v2beta1/runs",
             f"/apis/v2beta1/runs/{run}", "/apis/v2beta1/recurringruns", "/apis/v2beta1/pipelines",
             *(f"/runs/{run}/tasks/{task}" for task in tasks)]  # fmt: skip
    return {path: HTTP.request("GET", endpoint.url + path).data.decode() for path in paths}


@pytest.mark.parametrize("fails", [False, True], ids=["a run that succeeds", "a run that fails"])
def test_a_run_that_uses_secrets_keeps_none(endpoint, tmp_path, fails):
    client = endpoint.client()
    package = compiled(leaking, tmp_path / "leaking.yaml")
    arguments = {"reference": "${REGISTRY_ADDRESS}", "fails": fails}
    run = client.create_run_from_pipeline_package(package, arguments, enable_caching=False).run_id
    assert ended(client, run).state == ("FAILED" if fails else "SUCCEEDED")
    assert client.get_run(run).runtime_config.parameters["reference"] == "${REGISTRY_ADDRESS}"

    folder = endpoint.home / "runs" / run
    assert found_in(folder) == []
    assert found_in(endpoint.home / "endpoint") == []
    log = (folder / "logs" / "leak.log").read_text()
    assert "summary: connected to ${REGISTRY_ADDRESS}" in log  # it was resolved, and used
    assert "no answer from ${REGISTRY_ADDRESS}" in log or not fails
    shown = pages(endpoint, run)
    assert "${REGISTRY_ADDRESS}" in shown[f"/runs/{run}"]
    assert [path for path, text in shown.items() if any(each in text for each in PLANTED)] == []


def refused(endpoint, path: str, body: dict) -> str:
    answer = HTTP.request("POST", f"{endpoint.url}/apis/v2beta1/{path}", json=body)
    text = answer.data.decode()
    assert answer.status == 400, text
    assert not any(each in text for each in PLANTED)
    return text


SCHEDULE = {"periodic_schedule": {"interval_second": "3600"}}


@pytest.mark.parametrize("path", ["runs", "recurringruns"])
@pytest.mark.parametrize(
    "change",
    [
        {"display_name": f"of {URI}"},
        {"description": f"of {URI}"},
        {"runtime_config": {"parameters": {"number": 1, "note": URI}}},
        {"runtime_config": {"parameters": {"number": 1, "note": f"token={KEY}"}}},
        {"runtime_config": {"parameters": {"number": 1, "note": TOKEN}}},
        {"runtime_config": {"parameters": {"number": 1, "note": VARIABLE}}},
        {"runtime_config": {"parameters": {"number": 1}, "pipeline_root": f"s3://id:{PASSWORD}@bucket"}},
        {"service_account": TOKEN},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_a_body_that_holds_a_secret_is_refused_and_not_kept(endpoint, tmp_path, path, change):
    spec = yaml.safe_load(open(compiled(doubling, tmp_path / "doubling.yaml")).read())
    body = {"display_name": "one", "pipeline_spec": spec, "runtime_config": {"parameters": {"number": 1}}}
    text = refused(endpoint, path, {**body, **({"trigger": SCHEDULE} if path == "recurringruns" else {}), **change})
    assert "holds a secret in the clear" in text
    assert "${NAME}" in text
    assert found_in(endpoint.home / "endpoint") == []


def test_pipelines_and_versions_keep_no_secret(endpoint, tmp_path):
    client = endpoint.client()

    def planted(document):
        document["root"]["inputDefinitions"]["parameters"]["note"]["defaultValue"] = URI

    def in_the_environment(document):
        for executor in document["deploymentSpec"]["executors"].values():
            executor["container"]["env"] = [{"name": "DB_PASSWORD", "value": PASSWORD}]

    for change in (planted, in_the_environment):
        with pytest.raises(ApiException, match="holds a secret in the clear") as answer:
            client.upload_pipeline(compiled(doubling, tmp_path / "doubling.yaml", change), "planted")
        assert PASSWORD not in str(answer.value)
    made = client.upload_pipeline(compiled(doubling, tmp_path / "doubling.yaml"), "clean").pipeline_id
    spec = yaml.safe_load((tmp_path / "doubling.yaml").read_text())
    version = {"name": "one", "pipeline_spec": spec}
    refused(endpoint, f"pipelines/{made}/versions", {**version, "code_source_url": f"https://x:{TOKEN}@github.com/a/b"})
    refused(endpoint, f"pipelines/{made}/versions", {**version, "tags": {"api_key": KEY}})
    refused(endpoint, "pipelines", {"display_name": "two", "description": URI})
    refused(endpoint, "experiments", {"display_name": f"three {URI}"})
    assert found_in(endpoint.home / "endpoint") == []


@pytest.mark.parametrize(
    "setting",
    [
        f"registry_uri={URI}",
        f"registry_uri=postgresql://user:{PASSWORD}@db/mlflow",
        f"hyperparameters.api_key={KEY}",
        f"hyperparameters.address={URI}",
        f"sources.flights.uri=s3://AKIAIOSFODNN7EXAMPLE:{PASSWORD}@bucket/x.csv",
        f"serving_root={TOKEN}",
        f"no_such_setting={URI}",
        f"max_bad_fraction={URI}",
    ],
)
def test_a_setting_that_holds_a_secret_is_refused_before_anything_is_written(tmp_path, setting):
    for command in (["run", "flights", "--set", setting],):
        done = ct(tmp_path / "home", *command)
        assert done.code == 2
        assert not any(each in done.out + done.err for each in PLANTED)
        assert "${NAME}" in done.err
        assert f"- {setting.partition('=')[0]}" in done.err
    assert not (tmp_path / "home" / "runs").exists()


def test_a_package_that_holds_a_secret_is_named_and_does_not_run(tmp_path):
    def planted(document):
        document["root"]["inputDefinitions"]["parameters"]["note"]["defaultValue"] = URI

    package = compiled(doubling, tmp_path / "planted.yaml", planted)
    checked, ran = ct(tmp_path, "check", package), ct(tmp_path / "home", "run", package, "--set", "number=1")
    assert "this machine: cannot run it\n- note holds a secret in the clear" in checked.out
    assert ran.code == 2
    assert "note holds a secret in the clear" in ran.err
    assert PASSWORD not in checked.out + checked.err + ran.out + ran.err
    assert not (tmp_path / "home" / "runs").exists()


def test_a_variable_that_is_not_set_stops_before_anything_runs(tmp_path):
    done = ct(tmp_path / "home", "run", "flights", "--set", "registry_uri=http://user:${NO_SUCH_VARIABLE}@127.0.0.1:9")
    assert done.code == 2
    assert "registry_uri refers to ${NO_SUCH_VARIABLE}, and no environment variable has that name" in done.err
    assert not (tmp_path / "home" / "runs").exists()


def test_a_crash_prints_no_secret(tmp_path):
    code = (
        "import sys\nfrom kfp_ct.cli import main\n"
        f"def crash(arguments):\n    raise RuntimeError('lost {URI} {TOKEN}')\n"
        "main.run = crash\nmain.main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if value not in PLANTED}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "RuntimeError: lost http://user:***@127.0.0.1:9 ***" in done.stderr
    assert [each for each in PLANTED if each in done.stderr.split("RuntimeError:")[-1]] == []
