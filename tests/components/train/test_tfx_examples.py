"""TFX's example modules, byte for byte with the EvalConfig and schema they come with: from rows to a blessed model.

The rows are made here, of the same columns. The table of docs/from-tfx.md says what each needs.
"""

import dataclasses
import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import interpreters
from tfx_pipelines import taxi_rows

EXAMPLES = Path(__file__).parents[2] / "material/tfx_examples"
HELPERS = Path(__file__).parents[2] / "helpers"
TAXI = EXAMPLES / "chicago_taxi_pipeline"
# Modules that import others of tfx.examples need tfx itself.
needs_tfx = pytest.mark.skipif(importlib.util.find_spec("tfx") is None, reason="it imports tfx.examples")
TAXI_EVALUATION = """
model_specs { signature_name: "serving_default" label_key: "tips_xf"
  preprocessing_function_names: "transform_features" }
slicing_specs {}
metrics_specs { metrics { class_name: "BinaryAccuracy" threshold {
  value_threshold { lower_bound { value: 0.6 } }
  change_threshold { direction: HIGHER_IS_BETTER absolute { value: -1e-10 } } } } }
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """A module, and what it is run with."""

    module: str
    rows: str
    evaluation: str
    query: str = "SELECT * FROM rows"
    schema: str = ""
    gates: dict = dataclasses.field(default_factory=dict)
    hyperparameters: dict = dataclasses.field(default_factory=dict)
    tuning: dict = dataclasses.field(default_factory=dict)
    keras: int = 3


def penguin_rows(path: Path, rows: int = 300) -> str:
    chance = random.Random(1)
    lines = ["species,culmen_length_mm,culmen_depth_mm,flipper_length_mm,body_mass_g,id"]
    for number in range(rows):
        species = number % 3
        values = [chance.gauss(0.2 + 0.3 * species, 0.05) for _ in range(4)]
        lines.append(f"{species},{','.join(f'{value:.6f}' for value in values)},{number}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def imdb_rows(path: Path, rows: int = 300) -> str:
    chance = random.Random(1)
    lines = ["text,label,id"]
    for number in range(rows):
        label = number % 2
        words = [chance.choice(["film", "plot", "actor", "good great" if label else "bad dull"]) for _ in range(12)]
        lines.append(f"{' '.join(words)},{label},{number}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def mnist_rows(path: Path, rows: int = 300) -> str:
    chance = random.Random(1)
    path = path.with_suffix(".tfrecord")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(rows):
            digit = number % 10
            image = [chance.random() / 4 + (0.7 if place // 78 == digit else 0) for place in range(784)]
            features = {
                "image_floats": tf.train.Feature(float_list=tf.train.FloatList(value=image)),
                "image_class": tf.train.Feature(int64_list=tf.train.Int64List(value=[digit])),
                "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    return str(path)


ROWS = {"taxi": taxi_rows, "penguin": penguin_rows, "imdb": imdb_rows, "mnist": mnist_rows}
BY_CLASS = """
model_specs {{ label_key: "{label}" }}
metrics_specs {{ metrics {{ class_name: "SparseCategoricalAccuracy" threshold {{
  value_threshold {{ lower_bound {{ value: {least} }} }} }} }} }}
"""
BINARY = """
model_specs {{ label_key: "{label}" }}
metrics_specs {{ metrics {{ class_name: "AUC" }} }}
"""
# Modules for TFX set no seed: enough steps for the thresholds to be met whatever the start.
STEPS = {"train_steps": 300, "eval_steps": 2}
TAXI_CASE = {"rows": "taxi", "evaluation": TAXI_EVALUATION, "hyperparameters": STEPS, "gates": {"task": "binary"}}
CASES = {
    "taxi": Case("chicago_taxi_pipeline/taxi_utils.py", keras=2, **TAXI_CASE),
    "taxi native keras": Case("chicago_taxi_pipeline/taxi_utils_native_keras.py", **TAXI_CASE),
    "bigquery_ml": Case("bigquery_ml/taxi_utils_bqml.py", keras=2, **TAXI_CASE),
    "imdb": Case(
        "imdb/imdb_utils_native_keras.py", "imdb", BINARY.format(label="label"), keras=2,
        hyperparameters={"train_steps": 10, "eval_steps": 1}, gates={"model_output": "logits", "task": "binary"},
    ),
    "mnist": Case(
        "mnist/mnist_utils_native_keras.py", "mnist", BY_CLASS.format(label="image_class", least=0.5), keras=2,
        hyperparameters={"train_steps": 100, "eval_steps": 2}, gates={"model_output": "logits"},
    ),
    "penguin": Case(
        "penguin/penguin_utils_keras.py", "penguin", BY_CLASS.format(label="species", least=0.6),
        hyperparameters={"train_steps": 100, "eval_steps": 2}, gates={"model_output": "logits"},
    ),
    "penguin with its tuner": Case(
        "penguin/penguin_utils_keras.py", "penguin", BY_CLASS.format(label="species", least=0.6),
        hyperparameters={"train_steps": 100, "eval_steps": 2}, gates={"model_output": "logits"}, tuning={"trials": 2},
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def imports_are_foreseen():
    """Not held here: what these tests import, processes of their own import."""


ALONE = {name for name, case in CASES.items() if case.module.split("/")[0] not in ("mnist", "penguin")}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in ALONE else needs_tfx) for name in CASES])
def test_a_module_for_tfx_runs_without_an_edit(name, shared, request, tmp_path):
    """In a process of its own: which Keras TensorFlow has is decided as it is imported."""
    case = CASES[name]
    uri = ROWS[case.rows](tmp_path / "d.csv")
    (tmp_path / "case.json").write_text(json.dumps({**dataclasses.asdict(case), "uri": uri}))
    keras = "1" if case.keras == 2 else "0"
    cold = request.config.getoption("--cold")
    python = sys.executable if cold else interpreters.component_interpreter(shared, keras)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": keras}
    environment["PYTHONPATH"] = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    command = [str(python), "-W", "ignore", "-m", "tfx_example_run", str(EXAMPLES), str(tmp_path)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["blessed"], found
    assert found["epochs"]  # counted, although no module of TFX passes fn_args.callbacks
    assert found["served"] == found["rows"]
