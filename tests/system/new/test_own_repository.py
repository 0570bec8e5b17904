"""A repository that `ct init` made from the wheel, outside of any clone: what its users do there."""

import contextlib
import json
import re
import subprocess
import time

import pytest
import yaml

import awkward_data
import installed_library
from repository import AUTHOR

CLOUDBUILD = """
steps:
- {id: compile, name: any, entrypoint: CT, args: [compile, flights, --output, package.yaml]}
- {id: deliver, name: any, entrypoint: cp, args: [package.yaml, DELIVERED]}
"""
# What a pipeline is mixed of: the library's components, one of the repository's own, and one as kfp makes it, which
# imports a package that is called as one of the library's rooms.
OWN_STEPS = """    labels = check_labels(examples=data.outputs["examples"], label=label)
    greet(name="anyone").after(labels)
    stats = statistics("""
PLAIN = """
@dsl.component
def greet(name: str) -> str:
    from serving import names

    return f"{names.GREETING}, {name}"


@dsl.pipeline("""

MOO = """
@dsl.container_component
def moo():
    return dsl.ContainerSpec(image="debian:trixie", command=["true"])


@dsl.pipeline("""


@pytest.fixture(scope="module")
def own(wheel, tmp_path_factory):
    return installed_library.make_repository(tmp_path_factory.mktemp("own"), wheel)


def commit(own):
    git = ("git", "-c", "user.name=n", "-c", "user.email=e")
    own.run(*git, "init", "--quiet", "--initial-branch", "main")
    own.run(*git, "add", "--all")
    own.run(*git, "commit", "--quiet", "--allow-empty", "--message", "Begin")


def test_every_setting_of_the_example_compiles_and_the_build_is_in_order(own):
    own.run(own.root / ".venv/bin/python", "-m", "pytest", "-q")
    said = own.ct("compile", "flights", "--settings", "prod", "--output", "package.yaml")
    assert "package.yaml: pipeline flights-training, 13 executors, checked" in said
    (own.root / "package.yaml").unlink()
    assert "16 steps checked, nothing wrong" in own.ct("build", "--check", "cloudbuild.yaml")


def test_what_was_written_passes_its_own_checks(own):
    own.run(AUTHOR / "bin/ruff", "check", ".")
    own.run(AUTHOR / "bin/ruff", "format", "--check", ".")
    own.run(own.root / ".venv/bin/python", "-m", "mypy")
    linting = "from importlinter.cli import lint_imports_command as lint; lint()"
    assert "2 kept, 0 broken" in own.run(own.root / ".venv/bin/python", "-c", linting)


def test_a_new_component_is_the_repositorys_own(own):
    said = own.ct("new-component", "tidy_up")
    assert "README.md has its row." in said
    assert "[`tidy_up`](components/tidy_up/component.py)" in (own.root / "README.md").read_text()
    test = "tests/components/tidy_up/test_tidy_up.py"
    assert "from components.tidy_up import work" in (own.root / test).read_text()
    unwritten = own.test("tests/components/tidy_up", "tests/components/check_labels", code=1)
    assert "components/tidy_up is not written yet" in unwritten
    assert "1 failed, 8 passed" in unwritten


@pytest.mark.slow
def test_a_pipeline_of_mixed_components_runs_on_a_new_project(own, tmp_path):
    (own.root / "serving").mkdir()
    (own.root / "serving" / "__init__.py").touch()
    (own.root / "serving" / "names.py").write_text('GREETING = "hello"\n')
    dag = own.root / "pipelines/training.py"
    text = dag.read_text().replace("    stats = statistics(", OWN_STEPS, 1).replace("\n@dsl.pipeline(", PLAIN, 1)
    imported = "from kfp import dsl\n\nfrom components.check_labels.component import check_labels"
    dag.write_text(text.replace("from kfp import dsl\n", imported, 1))
    data = awkward_data.write(tmp_path / "shoppers.csv", leak=False)
    own.ct("new", "shoppers", "--data", str(data), "--label", "Churned")
    done = subprocess.run(
        [own.root / ".venv/bin/ct", "run", "shoppers", "--json", "--set", "hyperparameters.epochs=5"],
        cwd=own.root, env=installed_library.outside(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    tasks = {task["name"]: task for task in record["tasks"]}
    assert record["state"] == "SUCCEEDED"
    assert tasks["greet"]["parameters"] == {"Output": "hello, anyone"}
    assert "the rarest is" in tasks["check-labels"]["summary"]
    assert (own.root / ".ct/artifacts").is_dir()


def test_what_another_environment_would_need_is_named_before_anything_starts(own):
    dag = own.root / "pipelines/monitoring.py"
    before = dag.read_text()
    try:
        mixed = before.replace("\n@dsl.pipeline(", MOO, 1)
        dag.write_text(mixed.replace("    # The registry changes", "    moo()\n    # The registry changes", 1))
        own.ct("compile", "flights", "--settings", "monitoring-local", "--output", str(own.root / ".ct" / "p.yaml"))
        said = own.ct("run", "flights", "--settings", "monitoring-local", code=2)
    finally:
        dag.write_text(before)
    assert "this machine cannot run the pipeline" in said
    assert "exec-moo is a container component" in said


def test_a_push_runs_its_build(own, tmp_path):
    config = CLOUDBUILD.replace("CT", str(own.root / ".venv/bin/ct")).replace("DELIVERED", str(tmp_path / "delivered"))
    before = (own.root / "cloudbuild.yaml").read_text()
    (own.root / "cloudbuild.yaml").write_text(config)
    commit(own)
    try:
        own.ct("trigger", "git", "install", "--no-containers")
        said = own.run("git", "push", "ct", "main")
    finally:
        (own.root / "cloudbuild.yaml").write_text(before)
    assert "my-models-main: SUCCESS, delivered" in said
    assert yaml.safe_load((tmp_path / "delivered").read_text())["pipelineInfo"]["name"] == "flights-training"
    assert "push to main (my-models-main)" in own.ct("builds")


@contextlib.contextmanager
def endpoint(own):
    """Its `ct up`, until the block ends."""
    address = own.root / ".ct/endpoint/address.json"
    command = [own.root / ".venv/bin/ct", "up", "--port", "0"]
    process = subprocess.Popen(command, cwd=own.root, env=installed_library.outside(), stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not address.is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        yield json.loads(address.read_text())["url"]
    finally:
        process.terminate()
        process.wait(60)


def test_it_deploys_to_the_local_endpoint(own):
    commit(own)
    with endpoint(own) as url:
        said = own.ct("deploy", "flights", "--host", url)
    head = own.run("git", "rev-parse", "HEAD").strip()
    assert re.search(rf"flights-training.*{head[:7]}", said, re.DOTALL)
