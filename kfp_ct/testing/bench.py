"""Runs a project's modules through the real components in a temporary folder, each step once."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.data import batches, layouts
from kfp_ct.data.saved_model import Role, SavedModel
from kfp_ct.data.transform_graph import TransformGraph
from kfp_ct.data.whole_floats import marked
from kfp_ct.testing import datasets, rows

EVAL_FRACTION = 0.25


class CheckFailedError(AssertionError):
    """A project does not do what every project must."""


def require(condition: bool, message: str) -> None:
    """Fails a test with a message that says what to look at."""
    if not condition:
        raise CheckFailedError(message)


@dataclasses.dataclass(frozen=True)
class Project:
    """What is tested.

    Attributes:
        features_module: Import path or file with `preprocessing_fn`.
        model_module: Import path or file with `run_fn`.
        schema_file: schema.pbtxt.
        eval_config: TFMA EvalConfig file.
        label: The label's column, in the examples and among the features.
        task: "binary", "multiclass" or "regression": how the answer is held against the label.
        hyperparameters: For an ordinary training; small ones keep the tests quick.
        overfit: On top of them, to learn 32 rows by heart: many epochs, no regularisation.
        overfit_loss: What is left of a constant answer's loss once 32 rows are known by heart, at most.
        output: The output that answers; empty if there is only one.
    """

    features_module: str
    model_module: str
    schema_file: str
    eval_config: str
    label: str
    task: str = "binary"
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    overfit: dict[str, Any] = dataclasses.field(default_factory=dict)
    overfit_loss: float = 0.2
    output: str = ""


class Bench:
    """A project's rows, transform graph and model; made when first asked for, gone with `close`."""

    def __init__(self, project: Project, table: pa.Table) -> None:
        """Takes the rows to test with.

        Raises:
            CheckFailedError: There are fewer rows than a test can say anything by.
        """
        require(
            table.num_rows >= 64, f"{table.num_rows} rows to test with\nexpected: 64 at least, a few hundred better"
        )
        self.project, self.table = project, table
        self.schema = batches.read_schema(project.schema_file)
        self.served = sorted(batches.feature_specs(self.schema, "SERVING").keys() - {project.label})
        self._folder = tempfile.TemporaryDirectory()
        # Loading a graph or a model costs more than asking it: by its path and what it is loaded for.
        self._loaded: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        """Removes everything that was made."""
        self._loaded.clear()
        self._folder.cleanup()

    def path(self, name: str) -> str:
        """Returns a path in the bench's folder."""
        return str(Path(self._folder.name) / name)

    def dataset(self, name: str, table: pa.Table) -> str:
        """Writes rows as a dataset, every fourth held out; returns its path."""
        kept = np.arange(table.num_rows) % round(1 / EVAL_FRACTION) != 0
        splits = {layouts.TRAIN: table.filter(pa.array(kept)), layouts.EVAL: table.filter(pa.array(~kept))}
        return datasets.write(self.path(name), splits)

    def analyze(self, examples: str, name: str) -> str:
        """Runs transform on a dataset; returns the graph's path."""
        self._forget(self.path(name))
        transform.analyze(
            transform.TransformRequest(examples, self.project.schema_file, self.project.features_module),
            self.path(name),
        )
        return self.path(name)

    def train(self, examples: str, graph: str, hyperparameters: dict[str, Any], name: str) -> str:
        """Runs train; returns the model's path, beside which its log stands."""
        self._forget(self.path(name))
        project = self.project
        request = train.TrainingRequest(
            examples, graph, project.schema_file, "", project.model_module, marked(hyperparameters)
        )
        train.train(request, self.path(name), self.path(f"{name}-run"))
        return self.path(name)

    @functools.cached_property
    def examples(self) -> str:
        """All rows as a dataset."""
        return self.dataset("examples", self.table)

    @functools.cached_property
    def graph(self) -> str:
        """The transform graph of all rows."""
        return self.analyze(self.examples, "graph")

    @functools.cached_property
    def model(self) -> str:
        """The model trained on all rows."""
        return self.train(self.examples, self.graph, self.project.hyperparameters, "model")

    def features(self, graph: str, table: pa.Table) -> dict[str, np.ndarray]:
        """Returns the features that a transform graph makes of rows, sparse ones filled up."""
        columns = layouts.read_json(Path(graph) / layouts.SUMMARY)["columns"]
        specs = {name: batches.feature_specs(self.schema)[name] for name in columns}
        arrays = batches.to_arrays(one_batch(table), {name: spec.dtype for name, spec in specs.items()})
        raw = {name: tf.constant(values) for name, values in arrays.items()}
        apply = self._load(graph, "features", lambda: TransformGraph(tft.TFTransformOutput(graph)))
        made = apply(batches.to_features(raw, specs))
        return {name: _dense(values) for name, values in made.items()}

    def answers(self, model: str, table: pa.Table, signature: str = "serving_default") -> np.ndarray:
        """Returns a saved model's answer to rows, `[n, …]`, float64; the label is not shown to it."""
        loaded = self._load(model, signature, lambda: SavedModel(model, signature, self.served, Role("the model")))
        outputs = loaded.run(one_batch(table.select(self.served)))
        wanted = self.project.output or (loaded.outputs[0] if len(loaded.outputs) == 1 else "")
        require(wanted in outputs, f"the model answers {loaded.outputs}\nexpected: one output, or `output` to name one")
        return np.asarray(outputs[wanted], "float64")

    def signatures(self, model: str) -> dict[str, Any]:
        """Returns a saved model's signatures by name."""
        loaded = self._load(model, "", lambda: tf.saved_model.load(f"{model}/{layouts.SERVING_MODEL}"))
        return dict(loaded.signatures)

    def _load(self, path: str, what: str, load: Callable[[], Any]) -> Any:
        if (path, what) not in self._loaded:
            self._loaded[path, what] = load()
        return self._loaded[path, what]

    def _forget(self, path: str) -> None:
        """What is made anew under a path is loaded anew."""
        self._loaded = {key: each for key, each in self._loaded.items() if key[0] != path}


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Returns a table as one record batch."""
    return table.combine_chunks().to_batches()[0]


def invented(project: Project, count: int, classes: int = 2) -> pa.Table:
    """Invents rows by a project's schema."""
    schema = batches.read_schema(project.schema_file)
    return rows.invent(schema, count, project.label, 0 if project.task == "regression" else classes)


def _dense(values: Any) -> np.ndarray:
    if isinstance(values, tf.SparseTensor):
        fill = b"" if values.dtype == tf.string else 0
        return np.asarray(tf.sparse.to_dense(values, default_value=fill).numpy())
    return np.asarray(values.numpy())
