"""New multi-class and regression projects over CSV files: each runs to a blessed model, and its own tests pass."""

import json
import random

import pytest

import repository_copy
from kfp_ct.project.environments import component_python
from warm_python import AS_IMPORTED

pytestmark = pytest.mark.slow


def write_harvests(path, rows=900):
    """Fruit with its kind (texts, one of them too rare to learn) and its price (of another magnitude than the rest)."""
    draw = random.Random(2)
    lines = ["weight,colour,sort,price"]
    for number in range(rows):
        sort, mean = draw.choice([("apple", 150), ("größte Birne", 200), ("plum", 60)])
        weight = draw.gauss(mean, 25)
        colour = draw.choice(["red", "green"] if sort == "apple" else ["yellow", "green"])
        price = 20_000 + 100 * weight + draw.gauss(0, 2_000)
        lines.append(f"{weight:.1f},{colour},{'quince' if number in (5, 9) else sort},{price:.2f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    return repository_copy.make(folder / "repository"), write_harvests(folder / "harvests.csv")


@pytest.mark.parametrize(
    ("name", "label", "inferred"),
    [
        pytest.param("sorts", "sort", "multiclass (inferred: it has 4 different texts", id="multiclass"),
        pytest.param("prices", "price", "regression (inferred: it has 900 different numbers", id="regression"),
    ],
)
def test_a_task_runs_to_a_blessed_model_and_its_own_tests_pass(repository, name, label, inferred):
    root, data = repository
    made = repository_copy.run(root, "kfp_ct.cli.main", "new", name, "--data", str(data), "--label", label)
    assert made.returncode == 0, made.stderr
    assert inferred in made.stdout
    assert ("left out: quince" in made.stdout) == (name == "sorts")
    for check in (("ruff", "check"), ("ruff", "format", "--check")):
        checked = repository_copy.run(root, *check, f"pipelines/{name}", f"tests/components/{name}/test_{name}.py")
        assert checked.returncode == 0, checked.stdout
    done = repository_copy.run(root, "kfp_ct.cli.main", "run", name, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert {task["state"] for task in record["tasks"]} <= {"SUCCEEDED", "CACHED"}, done.stderr
    assert "BLESSED: version 1 is the champion" in done.stderr
    tested = repository_copy.run(
        root, "pytest", AS_IMPORTED, "-q", f"tests/components/{name}/test_{name}.py", python=component_python()
    )
    assert "12 passed" in tested.stdout, tested.stdout[-5_000:]
