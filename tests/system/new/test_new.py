"""`ct new` and `ct new-component`: what they write, what they refuse, and that nothing is left of a refusal."""

import pytest
import yaml

import awkward_data
import interpreters
import repository_copy
from kfp_ct.project.environments import component_python


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return repository_copy.make(tmp_path_factory.mktemp("repository"))


def refused(root, *arguments):
    result = repository_copy.run(root, "kfp_ct.cli.main", *arguments)
    assert "Traceback" not in result.stderr
    assert result.returncode == 2, result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("flights", "taken: there is pipelines/flights", id="a project"),
        pytest.param("training", "taken: there is pipelines/training.py", id="a pipeline"),
        pytest.param("ingest", "taken: there is tests/components/ingest/test_ingest.py", id="a test"),
        pytest.param("Churn", "cannot be a project's name", id="upper case"),
        pytest.param("../x", "cannot be a project's name", id="a path"),
        pytest.param("class", "cannot be a project's name", id="a word of Python"),
        pytest.param("x" * 41, "cannot be a project's name", id="too long"),
    ],
)
def test_a_bad_project_name_is_refused(root, name, message):
    assert message in refused(root, "new", name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("ingest", "taken: there is components/ingest", id="a component"),
        pytest.param("my-step", "cannot be a component's name", id="a hyphen"),
    ],
)
def test_a_bad_component_name_is_refused(root, name, message):
    assert message in refused(root, "new-component", name)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        pytest.param("nothing", "there is no column 'nothing'", id="no such column"),
        pytest.param("country", "the label country has 1 value", id="one class"),
    ],
)
def test_data_that_does_not_fit_leaves_nothing_behind(root, tmp_path, label, message):
    data = awkward_data.write(tmp_path / "x.csv", 60)
    said = refused(root, "new", "churn", "--data", str(data), "--label", label)
    assert message in said
    assert "expected: " in said
    assert [path.name for path in (root / "pipelines").iterdir() if "churn" in path.name or ".new" in path.name] == []
    assert not (root / "tests/components/churn").exists()


def test_a_task_there_is_none_of_is_named(root):
    assert "there is no task 'ranking'" in refused(root, "new", "churn", "--task", "ranking")


def test_a_file_that_is_not_there_is_named(root):
    assert "there is no file" in refused(root, "new", "churn", "--data", "nothing.csv", "--label", "x")


def test_a_project_has_its_files_and_passes_the_checks(root, tmp_path):
    data = awkward_data.write(tmp_path / "x.csv")
    result = repository_copy.run(root, "kfp_ct.cli.main", "new", "shoppers", "--data", str(data), "--label", "Churned")
    assert result.returncode == 0, result.stderr
    assert "warning: refund alone tells the label" in result.stdout
    assert "ct run shoppers" in result.stdout
    folder = root / "pipelines/shoppers"
    assert sorted(path.name for path in folder.iterdir()) == [
        "__init__.py", "eval_config.pbtxt", "examples.sql", "features.py", "model.py", "schema.pbtxt", "settings",
    ]  # fmt: skip
    local = yaml.safe_load((folder / "settings/local.yaml").read_text())
    assert local["parameters"]["sources"]["data"]["uri"] == str(data)
    for check in (("ruff", "check"), ("ruff", "format", "--check")):
        assert repository_copy.run(root, *check, str(folder), "tests/components/shoppers").returncode == 0
    compiled = repository_copy.run(
        root, "kfp_ct.cli.main", "compile", "shoppers", "--output", str(tmp_path / "package.yaml")
    )
    assert compiled.returncode == 0, compiled.stderr


def test_a_project_without_data_brings_a_sample(root):
    made = repository_copy.run(root, "kfp_ct.cli.main", "new", "sampled")
    assert made.returncode == 0, made.stderr
    local = yaml.safe_load((root / "pipelines/sampled/settings/local.yaml").read_text())
    assert local["parameters"]["sources"]["data"]["uri"] == "pipelines/sampled/sample.csv"
    assert (root / "pipelines/sampled/sample.csv").is_file()
    assert "task binary (inferred: it has two values; --task says otherwise)" in made.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["abacus", "tidy_up"])
def test_a_new_component_passes_the_checks_and_fails_its_test_until_it_is_written(shared, tmp_path, monkeypatch, name):
    monkeypatch.setenv("MYPY_CACHE_DIR", str(shared / "mypy"))  # what kfp's types are is found out once
    root = repository_copy.make(tmp_path / "repository")
    assert repository_copy.run(root, "kfp_ct.cli.main", "new-component", name).returncode == 0
    written = (f"components/{name}", f"tests/components/{name}/test_{name}.py")
    for check in (("ruff", "check", *written), ("ruff", "format", "--check", *written), ("mypy", written[0])):
        done = repository_copy.run(root, *check)
        assert done.returncode == 0, done.stdout + done.stderr
    rules = repository_copy.run(root, "pytest", "-q", "tests/unit/test_map.py", python=interpreters.REAL)
    assert rules.returncode == 0, rules.stdout
    test = ("pytest", "-q", f"tests/components/{name}/test_{name}.py")
    unwritten = repository_copy.run(root, *test, python=component_python())
    assert "1 failed, 1 passed" in unwritten.stdout
    assert f"components/{name} is not written yet" in unwritten.stdout
    work = root / f"components/{name}/work.py"
    work.write_text(work.read_text().split("    raise NotImplementedError")[0] + '    return {"rows": rows}\n')
    assert "2 passed" in repository_copy.run(root, *test, python=component_python()).stdout
