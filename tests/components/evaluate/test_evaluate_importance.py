"""Importance: an input that a model goes by costs it the metric when it is shuffled, one that it ignores does not."""

import dataclasses
import json
import math

import pytest

import evaluations
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import importance, importance_process
from kfp_ct.components.evaluate.importance import Evaluated


@pytest.fixture
def evaluated(tmp_path, models, examples):
    """Returns a function that names an evaluated model."""
    (tmp_path / "schema.pbtxt").write_text("")
    (tmp_path / "eval_config.pbtxt").write_text(evaluations.config())

    def of(model="good", **gates):
        asked = {"task": "binary", "metric": "auc", **gates}
        return Evaluated(models(model), examples, f"{tmp_path}/schema.pbtxt", f"{tmp_path}/eval_config.pbtxt", asked)

    return of


def by_feature(found):
    return {each["feature"]: each for each in found["features"]}


def test_what_a_model_goes_by_is_told_from_what_it_ignores(evaluated, tmp_path):
    found = importance.measure(evaluated(), str(tmp_path), 10_000)

    assert [each["feature"] for each in found["features"]] == ["x", "z", "origin"]
    x, z, origin = found["features"]
    assert x["low"] > z["high"] > z["low"] > 0
    assert (origin["loss"], origin["low"], origin["high"]) == (0.0, 0.0, 0.0)
    assert (found["metric"], found["rows"], found["method"]) == ("auc", evaluations.EVAL_ROWS, "permutation")
    # Shuffled, x tells nothing: what is left is what z alone says.
    assert found["value"] - x["loss"] == pytest.approx(0.6, abs=0.05)


def test_losses_are_oriented_by_the_metric_and_any_level_is_kept(evaluated, tmp_path):
    found = importance.measure(evaluated(metric="log_loss", confidence=0.5), str(tmp_path), 10_000)

    assert by_feature(found)["x"]["low"] > 0
    narrow, wide = (by_feature(importance.measure(evaluated(confidence=level), str(tmp_path), 10_000))["x"]
                    for level in (0.5, 0.99))  # fmt: skip
    assert wide["low"] < narrow["low"] < narrow["loss"] == wide["loss"]


def test_rows_are_drawn_the_same_ones_each_time(evaluated, tmp_path):
    first, second = (importance.measure(evaluated(), str(tmp_path), 1_000) for _ in range(2))

    assert first["rows"] == 1_000
    assert first["features"] == second["features"]


def test_a_model_of_whole_examples_is_asked_by_column_without_the_label(evaluated, tmp_path):
    found = by_feature(importance.measure(evaluated("examples"), str(tmp_path), 2_000))

    assert "late" not in found
    assert found["x"]["low"] > 0
    assert found["minutes"]["loss"] == 0.0


def test_the_process_answers_with_what_it_found_or_why_it_did_not(evaluated, tmp_path):
    asked = {"evaluated": dataclasses.asdict(evaluated()), "folder": str(tmp_path), "most": 500}
    answer = json.loads(json.dumps(importance_process.answer(asked), allow_nan=False))

    assert answer["rows"] == 500
    assert all(math.isfinite(each["loss"]) for each in answer["features"])
    asked["evaluated"]["model_path"] = str(tmp_path / "gone")
    assert "no SavedModel in" in importance_process.answer(asked)["error"]
    with pytest.raises(ConfigurationError):
        importance.measure(dataclasses.replace(evaluated(), model_path="gone"), str(tmp_path), 1)
