"""Small evaluations for tests: real SavedModels over real Parquet, and a `judge` fixture that runs the work.

The conftest.py of tests/components/evaluate takes the fixtures from here.
"""

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from kfp_ct.components.evaluate import eval_config, work
from kfp_ct.data import layouts
from kfp_ct.models import blessing
from repository import ROOT

EVAL_ROWS = 4_000
KINDS = ["early", "on time", "late"]
FLIGHTS_CONFIG = ROOT / "pipelines" / "flights" / "eval_config.pbtxt"
FLOATS = [tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.float32, "z")]


class Scorer(tf.Module):
    """Scores by a formula of the raw columns."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    @tf.function(input_signature=[*FLOATS, tf.TensorSpec([None, 1], tf.string, "origin")])
    def serve(self, x, z, origin):
        return {"probability": self.formula(x, z, origin[:, 0])[:, None]}


class ExampleScorer(tf.Module):
    """The same over serialised tf.Examples, x alone."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(self, examples):
        spec = {name: tf.io.FixedLenFeature([], tf.float32, default_value=0.0) for name in ("x", "z")}
        parsed = tf.io.parse_example(examples, spec)
        return {"probability": tf.sigmoid(parsed["x"] + 0.5 * parsed["z"] - 1.2)}


class TwoHeads(tf.Module):
    """Two outputs, of which one is asked for."""

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"late": tf.sigmoid(x + 0.5 * z - 1.2), "very_late": tf.sigmoid(x - 3)}


class Classes(tf.Module):
    """Probabilities of three classes: a mixture of the truth and noise, as much as `skill` says."""

    def __init__(self, skill):
        super().__init__()
        self.skill = skill

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"probabilities": tf.nn.softmax(self.skill * tf.stack([-x, 0.5 * z, x], 1))}


class ClassLogits(tf.Module):
    """What Classes(2.0) takes the softmax of."""

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"logits": 2.0 * tf.stack([-x, 0.5 * z, x], 1)}


class Labels(tf.Module):
    """Probabilities of three classes that do not exclude each other, by `skill`; or their logits."""

    def __init__(self, skill, logits=False):
        super().__init__()
        self.skill, self.logits = skill, logits

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        logits = self.skill * tf.stack([x - 1, z - 0.5, 0.5 - x], 1)
        return {"labels": logits if self.logits else tf.sigmoid(logits)}


class Values(tf.Module):
    """A regression: the truth, as much as `skill` says."""

    def __init__(self, skill):
        super().__init__()
        self.skill = skill

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"minutes": (10.0 + self.skill * (5.0 * x + 2.0 * z))[:, None]}


class Both(tf.Module):
    """Two tasks of one model."""

    @tf.function(input_signature=FLOATS)
    def serve(self, x, z):
        return {"probability": tf.sigmoid(x + 0.5 * z - 1.2), "minutes": 10.0 + 5.0 * x + 2.0 * z}


OTHERS = {
    "examples": ExampleScorer, "heads": TwoHeads, "both": Both, "class logits": ClassLogits,
    "classes": lambda: Classes(2.0), "weak classes": lambda: Classes(0.3), "wrong classes": lambda: Classes(-2.0),
    "labels": lambda: Labels(2.0), "weak labels": lambda: Labels(0.1), "wrong labels": lambda: Labels(-2.0),
    "label logits": lambda: Labels(2.0, logits=True),
    "values": lambda: Values(1.0), "weak values": lambda: Values(0.3), "wrong values": lambda: Values(-1.0),
}  # fmt: skip
FORMULAS = {
    "good": lambda x, z, origin: tf.sigmoid(x + 0.5 * z - 1.2),
    "fair": lambda x, z, origin: tf.sigmoid(x - 1.2),
    # What training on shuffled labels gives: the prior, and noise that has nothing to do with the label.
    "shuffled": lambda x, z, origin: tf.sigmoid(0.1 * tf.sin(1000 * x) - 1.0),
    "blind at JFK": lambda x, z, origin: tf.where(origin == b"JFK", 0.2, tf.sigmoid(x + 0.5 * z - 1.2)),
    "confident": lambda x, z, origin: tf.sigmoid(4 * (x + 0.5 * z - 1.2)),
    "NaN": lambda x, z, origin: tf.where(x > 2, tf.constant(math.nan), tf.sigmoid(x)),
    "logits": lambda x, z, origin: x + 0.5 * z,
    "good logits": lambda x, z, origin: x + 0.5 * z - 1.2,
}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Returns a model artifact by name, saved when first asked for; a path is one already."""
    root, saved = tmp_path_factory.mktemp("models"), {}

    def model(name):
        if name not in saved and Path(name).is_dir():
            return name
        if name not in saved:
            module = OTHERS.get(name, lambda: Scorer(FORMULAS[name]))()
            tf.saved_model.save(module, str(root / name / "Format-Serving"), {"serving_default": module.serve})
            saved[name] = str(root / name)
        return saved[name]

    return model


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count)).astype(np.float32)
    kinds = np.argmax(np.stack([-x, 0.5 * z, x]) + 0.5 * rng.gumbel(size=(3, count)), axis=0)
    return pa.table(
        {
            "x": x,
            "z": z,
            "origin": rng.choice(["EWR", "JFK", "LGA"], count),
            "carrier": rng.choice(["AA", "B6", "HA"], count, p=[0.6, 0.395, 0.005]),
            "late": (rng.random(count) < 1 / (1 + np.exp(1.2 - x - 0.5 * z))).astype(np.int64),
            "kind": kinds,
            "kind_name": np.array(KINDS)[kinds],
            "minutes": (10 + 5 * x + 2 * z + 3 * rng.normal(size=count)).astype(np.float32),
            "weight": rng.integers(1, 4, count).astype(np.float32),
        }
    )


def write_examples(root, eval_rows, train_rows=None, window=None, split_by=None, shards=1):
    tables = {"train": rows(2_000, seed=1) if train_rows is None else train_rows, "eval": eval_rows}
    splits = []
    for name, table in tables.items():
        files = [f"Split-{name}/data_parquet-{n:05d}-of-{shards:05d}.parquet" for n in range(shards)]
        ends = [table.num_rows * n // shards for n in range(shards + 1)]
        (root / files[0]).parent.mkdir(parents=True, exist_ok=True)
        for file, (start, end) in zip(files, itertools.pairwise(ends), strict=True):
            pq.write_table(table.slice(start, end - start), root / file)
        splits.append(layouts.Split(name, table.num_rows, files))
    kinds = {name: kind_of(kind) for name, kind in zip(eval_rows.schema.names, eval_rows.schema.types, strict=True)}
    manifest = layouts.Manifest(splits, kinds, "fingerprint", {}, window or {}, split_by or {})
    layouts.write_manifest(root, manifest)
    return str(root)


def kind_of(kind):
    if pa.types.is_list(kind):
        return f"{kind_of(kind.value_type)}[]"
    return "string" if pa.types.is_string(kind) else "float"


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples"), rows(EVAL_ROWS))


def config(auc="", extra="", slicing="slicing_specs {} slicing_specs { feature_keys: 'origin' }", model=""):
    return f"""
        model_specs {{ label_key: 'late' {model} }}
        {slicing}
        metrics_specs {{
          metrics {{ class_name: 'ExampleCount' }}
          metrics {{ class_name: 'AUC' {auc} }}
          {extra}
        }}"""


def at_least(bind_window, slicing="slicing_specs {}"):
    value = f"threshold {{ value_threshold {{ lower_bound {{ value: {bind_window} }} }} }}"
    return f"per_slice_thresholds {{ {slicing} {value} }}" if slicing else value


@pytest.fixture
def judge(tmp_path, examples, models):
    """Returns a function that evaluates a model and returns the verdict, the report and the folder."""
    runs = itertools.count()

    def run(model="good", champion="", text=None, data=examples, schema="", beam=(), reference="", **gates):
        root = tmp_path / f"run{next(runs)}"
        (tmp_path / "schema.pbtxt").write_text(schema)
        (tmp_path / "eval_config.pbtxt").write_text(config(at_least(0.6)) if text is None else text)
        champion_path = models(champion) if champion else str(tmp_path / "nothing")
        request = work.EvaluationRequest(
            data, f"{tmp_path}/schema.pbtxt", models(model), champion_path, "3" if champion else "",
            reference or f"{tmp_path}/eval_config.pbtxt", gates, list(beam),
        )  # fmt: skip
        outputs = work.Outputs(f"{root}/evaluation", f"{root}/blessing", f"{root}/view.html")
        result = work.evaluate(request, outputs)
        # What blesses a model is nothing that checks before a run refuse.
        assert not result.blessed or list(eval_config.problems((tmp_path / "eval_config.pbtxt").read_text())) == []
        report = json.loads((root / "evaluation" / "summary.json").read_text())
        return Verdict(blessing.read(root / "blessing"), report, result, root)

    return run


@dataclasses.dataclass
class Verdict:
    blessing: blessing.Blessing
    report: dict
    result: work.Result
    root: Path

    def check(self, gate):
        return next(check for check in self.blessing.checks if check.gate == gate)

    def refused_by(self):
        return [check.gate for check in self.blessing.checks if not check.passed]


def assert_blessed(verdict):
    assert verdict.blessing.refusals == []
    assert verdict.result.blessed
    assert verdict.blessing.blessed
    assert (verdict.root / "blessing" / "BLESSED").is_file()


def assert_refused(verdict, *gates):
    assert verdict.refused_by() == list(gates)
    assert not verdict.result.blessed
    assert (verdict.root / "blessing" / "NOT_BLESSED").is_file()
    assert not (verdict.root / "blessing" / "BLESSED").exists()


FIXTURES = (examples, judge, models)
