"""A new project over a CSV file with awkward columns: it runs to a verdict, and its own tests pass."""

import json

import pytest

import awkward_data
import repository_copy
from kfp_ct.project.environments import component_python
from warm_python import AS_IMPORTED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    root = repository_copy.make(folder / "repository")
    data = awkward_data.write(folder / "shoppers.csv", leak=False)
    made = repository_copy.run(root, "kfp_ct.cli.main", "new", "shoppers", "--data", str(data), "--label", "Churned")
    assert made.returncode == 0, made.stderr
    return root


def run(root, *arguments):
    done = repository_copy.run(root, "kfp_ct.cli.main", "run", "shoppers", "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    return {task["name"]: task["state"] for task in record["tasks"]}, done.stderr


def test_it_ends_with_a_blessed_model(root):
    states, said = run(root)
    assert set(states.values()) <= {"SUCCEEDED", "CACHED"}, states
    assert "BLESSED: version 1 is the champion" in said
    assert (root / ".ct/serving/shoppers/1/saved_model.pb").is_file()


def test_a_model_that_learnt_nothing_is_refused_with_reasons(root):
    states, said = run(root, "--set", "hyperparameters.learning_rate=0.0000001", "--set", "hyperparameters.epochs=1")
    assert "NOT BLESSED" in said
    assert "✘" in said
    assert states["deploy"] == "SKIPPED"


def test_its_own_tests_pass(root):
    done = repository_copy.run(
        root, "pytest", AS_IMPORTED, "-q", "tests/components/shoppers/test_shoppers.py", python=component_python()
    )
    assert "12 passed" in done.stdout, done.stdout[-5_000:]
