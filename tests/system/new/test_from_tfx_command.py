"""`ct from-tfx` as a command: a project that compiles, and a refusal that writes nothing."""

import pytest

import repository_copy
import tfx_pipelines
from tfx_pipelines import component


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return repository_copy.make(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tfx_pipelines.home(tmp_path_factory.mktemp("home"))


def ct(root, *arguments):
    return repository_copy.run(root, "kfp_ct.cli.main", *arguments)


def from_tfx(root, home, name, *arguments, edit=lambda found: None):
    file = home / "inspected.json"
    file.write_text(tfx_pipelines.inspected(name, home, edit))
    return ct(root, "from-tfx", str(home / f"{name}.py"), *arguments, "--inspected", str(file))


@pytest.mark.parametrize(
    ("name", "project"),
    [
        ("taxi_pipeline_native_keras", "taxi"),
        ("penguin_pipeline_local", "penguin"),
        ("imdb_pipeline_native_keras", "imdb"),
        ("mnist_pipeline_native_keras", "mnist"),
    ],
)
def test_a_pipeline_of_tfx_becomes_a_project_that_compiles(root, home, name, project):
    made = from_tfx(root, home, name, project)
    assert made.returncode == 0, made.stderr
    assert f"wrote pipelines/{project}" in made.stdout
    compiled = ct(root, "compile", project, "--output", str(home / "package.yaml"))
    assert compiled.returncode == 0, compiled.stderr
    assert "checked" in compiled.stdout


def test_what_has_no_equal_is_named_and_nothing_written(root, home):
    def presto(found):
        node = component(found, "CsvExampleGen")
        node.update(type="own.PrestoExampleGen", bases=["PrestoExampleGen"], executor="presto.Executor")

    refused = from_tfx(root, home, "taxi_pipeline_native_keras", "other", edit=presto)
    assert refused.returncode == 2
    assert "no project was written" in refused.stderr
    assert "rows of presto.Executor cannot be read; expected CSV" in refused.stderr
    assert not (root / "pipelines/other").exists()


def test_where_tfx_is_not_installed_is_said(root, home):
    (home / "p.py").write_text("from tfx import v1\n")
    refused = ct(root, "from-tfx", str(home / "p.py"), "--python", "python3")
    assert refused.returncode == 2
    assert "tfx is not installed in python3" in refused.stderr
    assert "--image" in refused.stderr


@pytest.mark.slow
def test_taxi_runs_to_a_blessed_model_without_an_edit(root, home):
    (home / "taxi/data/simple").mkdir(parents=True)
    tfx_pipelines.taxi_rows(home / "taxi/data/simple/data.csv", rows=400)
    assert from_tfx(root, home, "taxi_pipeline_native_keras", "trips").returncode == 0
    ran = ct(root, "run", "trips", "--set", "hyperparameters.train_steps=150")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "BLESSED" in ran.stdout
    assert "serving trips v1" in ran.stdout
