"""The eval rows through a user's extractors: labels, weights, predictions and features as those give them.

TFMA's extractors work row by row, on Beam's workers where the settings name some. What they give is read into the
arrays that everything else is computed of: the gates and the paired comparison see the same rows as TFMA's metrics.
"""

import contextlib
import dataclasses
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.evaluate import extractors, slices
from kfp_ct.components.evaluate.config import CHALLENGER, CHAMPION, Plan
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.extractors import Hooks
from kfp_ct.components.evaluate.model import probabilities
from kfp_ct.components.evaluate.results import BEAM_BATCH_ROWS
from kfp_ct.components.evaluate.scoring import Predicted
from kfp_ct.data import batches, beam_runner, reading

# Below the evaluation until its metrics are written.
_FOLDER = "_extracts"
_ADVICE = "expected: extractors that work on these rows\nfix: see the step's log, and correct the module"
_TRANSFORMED = "transformed_features"


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What is extracted.

    Attributes:
        hooks: The module's functions.
        plan: The EvalConfig.
        models: TFMA's model name → model artifact.
        files: Files of the splits to judge on.
        columns: Features to keep beside labels and weights.
        logits: Whether predictions are logits.
        exclusive: Whether each row has one class, even where its label is a list.
    """

    hooks: Hooks
    plan: Plan
    models: Mapping[str, str]
    files: Sequence[str]
    columns: Sequence[str]
    logits: bool = False
    exclusive: bool = False

    @property
    def config(self) -> config_pb2.EvalConfig:
        """The EvalConfig that the functions are given."""
        return extractors.config_for(self.plan, CHAMPION in self.models)


class _ReadRows(beam.DoFn):
    """Reads a file as TFMA takes rows: lists of values, and each row as a tf.Example."""

    def process(self, file: str) -> Iterator[Any]:
        """Yields a file's rows in TFMA's batches."""
        yield from _record_batches(file)


def _record_batches(file: str) -> Iterator[pa.RecordBatch]:
    for batch in reading.iter_batches([file], batch_rows=BEAM_BATCH_ROWS):
        if not batch.num_rows:
            continue
        lists = batches.to_lists(batch, batch.schema.names)
        raw = pa.array([[each] for each in batches.to_examples(batch)], pa.large_list(pa.large_binary()))
        yield pa.RecordBatch.from_arrays(
            [*lists.columns, raw], names=[*lists.schema.names, tfma.constants.ARROW_INPUT_COLUMN]
        )


class _WriteRows(beam.DoFn):
    """Writes what is wanted of each row, a file for each bundle, and yields nothing."""

    def __init__(self, folder: str, reader: "_RowReader") -> None:
        self._folder, self._reader = folder, reader
        self._lines: list[str] = []

    def process(self, extracts: Mapping[str, Any]) -> Iterator[Any]:
        """Keeps a row."""
        try:
            row = self._reader.read(extracts)
        except ConfigurationError as error:
            row = {"error": str(error)}  # of what is raised here, Beam keeps the last line
        self._lines.append(json.dumps(row))
        yield from ()

    def finish_bundle(self) -> None:
        """Writes the rows that were kept."""
        if self._lines:
            Path(self._folder, f"{uuid.uuid4().hex}.jsonl").write_text("\n".join(self._lines) + "\n")
        self._lines = []


@dataclasses.dataclass(frozen=True)
class _RowReader:
    """Reads labels, weights, predictions and features of one row's extracts as plain values."""

    models: Sequence[str]
    outputs: Sequence[Output]
    columns: Sequence[str]

    def read(self, extracts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a row as JSON can say it."""
        return {
            "columns": {name: self._feature(extracts, name) for name in self.columns},
            "labels": [_plain(_of_output(extracts.get("labels"), each)) for each in self.outputs],
            "weights": [
                _plain(_of_output(extracts.get("example_weights"), each)) if each.weight else None
                for each in self.outputs
            ],
            "predictions": {
                model: [self._prediction(extracts, model, each) for each in self.outputs] for model in self.models
            },
            "slices": [slices.name(key) for key in extracts.get("_slice_key_types", ())],
        }

    def _prediction(self, extracts: Mapping[str, Any], model: str, output: Output) -> list[float]:
        found = _of(extracts.get("predictions"), model)
        if isinstance(found, Mapping):
            found = _chosen(found, output.prediction_key)
        if found is None:
            raise ConfigurationError(f"the extractors give no predictions\nexpected: the key {tfma.PREDICTIONS_KEY}")
        return [float(each) for each in np.asarray(found).reshape(-1)]

    def _feature(self, extracts: Mapping[str, Any], name: str) -> Any:
        made = _of(extracts.get(_TRANSFORMED), CHALLENGER) or {}
        for found in (made, extracts.get("features") or {}):  # TFMA, too, prefers what preprocessing makes
            if name in found:
                return _plain(found[name])
        raise ConfigurationError(
            f"the extractors give no feature {name}, which the evaluation config or the gates name\n"
            f"expected: one of {', '.join(sorted(map(str, {*made, *(extracts.get('features') or {})})))}"
        )


def _chosen(predictions: Mapping[str, Any], wanted: str) -> Any:
    if wanted not in predictions and len(predictions) > 1:
        raise ConfigurationError(
            f"the extractors give the predictions {', '.join(map(str, predictions))}, of which one is to be judged\n"
            "fix: name one in the evaluation config, model_specs { prediction_key: '…' }"
        )
    return predictions.get(wanted, next(iter(predictions.values()), None))


def _of_output(value: Any, output: Output) -> Any:
    return _of(_of(value, CHALLENGER), output.name)


def _of(value: Any, key: str) -> Any:
    """Returns a model's or an output's part, where extracts have one for each."""
    return value[key] if isinstance(value, Mapping) and key in value else value


def _plain(value: Any) -> Any:
    """Returns a value, or a list of several; None where there is none."""
    array = np.asarray(getattr(value, "values", value)).reshape(-1)
    found = [each.decode() if isinstance(each, bytes) else each for each in array.tolist()]
    return found[0] if len(found) == 1 else found or None


def predict(asked: Extraction, evaluation_path: str, beam_pipeline_args: list[str]) -> Predicted:
    """Lets the eval rows go through the extractors.

    Args:
        asked: What is extracted.
        evaluation_path: The evaluation's folder, which Beam's workers see.
        beam_pipeline_args: Beam options; empty runs in this process.

    Raises:
        ComponentError: An extractor fails, or gives something else than labels and predictions of rows.
        DataError: No row is left.
    """
    task_log.progress(f"rows go through the extractors of {asked.hooks.module}, one by one, which is slow")
    first = next((each for file in asked.files for each in _record_batches(file)), None)
    if first is None:
        raise DataError("the eval split has no rows: nothing can be judged\nfix: widen the window or change the split")
    stages = extractors.make(asked.hooks, asked.config, asked.models, first.schema)
    reader = _RowReader(list(asked.models), asked.plan.outputs, asked.columns)
    with _folder(evaluation_path) as folder:
        with (
            beam_runner.report_beam_failure(f"runs the extractors of {asked.hooks.module}", _ADVICE),
            beam_runner.pipeline(beam_pipeline_args) as pipeline,
        ):
            extracts = pipeline | beam.Create(list(asked.files)) | beam.Reshuffle()
            extracts |= beam.ParDo(_ReadRows()).with_output_types(pa.RecordBatch)
            extracts |= tfma.BatchedInputsToExtracts()
            for stage in stages:
                extracts |= stage.stage_name >> stage.ptransform
            _ = extracts | beam.ParDo(_WriteRows(str(folder), reader))
        return _read(asked, folder)


@contextlib.contextmanager
def _folder(evaluation_path: str) -> Iterator[Path]:
    folder = Path(evaluation_path) / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _read(asked: Extraction, folder: Path) -> Predicted:
    # In the order of their content: that of the workers differs from run to run, and a verdict must not.
    lines = sorted(line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines())
    rows = [json.loads(line) for line in lines]
    if wrong := next((row["error"] for row in rows if "error" in row), ""):
        raise ConfigurationError(wrong)
    if not rows:
        raise DataError(
            f"the extractors of {asked.hooks.module} leave no row of the eval split\nexpected: rows to judge"
        )
    task_log.progress(f"{len(rows):,} rows come out of the extractors")
    columns = {name: [row["columns"][name] for row in rows] for name in asked.columns}
    for number, output in enumerate(asked.plan.outputs):
        _add(columns, output.label, _labels([row["labels"][number] for row in rows]))
        if output.weight:
            _add(columns, output.weight, [row["weights"][number] for row in rows])
    table = pa.table({name: _array(name, values) for name, values in columns.items()})
    _check_slices(asked, table, {name for row in rows for name in row["slices"]})
    return Predicted(table, {model: _predictions(asked, model, rows) for model in asked.models})


def _add(columns: dict[str, list[Any]], name: str, values: list[Any]) -> None:
    """Two outputs, or an output and a slice, may name one column: it has one meaning."""
    if columns.setdefault(name, values) != values:
        raise ConfigurationError(
            f"the extractors give {name} with other values as a label or a weight than as a feature\n"
            "expected: one meaning a name\nfix: name another feature in the evaluation config"
        )


def _labels(values: list[Any]) -> list[Any]:
    """Returns labels of one shape: where a row has several, each has a list."""
    if not any(isinstance(each, list) for each in values):
        return values
    return [each if isinstance(each, list) or each is None else [each] for each in values]


def _array(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the extractors give values of several types for {name}: {error}") from error


def _predictions(asked: Extraction, model: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for number, output in enumerate(asked.plan.outputs):
        values = [row["predictions"][model][number] for row in rows]
        widths = sorted({len(each) for each in values})
        if len(widths) > 1 or not widths[0]:
            raise ConfigurationError(
                f"the extractors give predictions of {', '.join(map(str, widths))} values a row\n"
                "expected: a number, or one for every class, a row"
            )
        numbers = np.array(values, np.float32)
        independent = any(isinstance(row["labels"][number], list) for row in rows) and not asked.exclusive
        found[output.name] = probabilities(numbers, independent) if asked.logits else numbers
    return found


def _check_slices(asked: Extraction, table: pa.Table, made: set[str]) -> None:
    """Slices that only an extractor knows would be left out without a word."""
    config = asked.plan.config
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        return
    known = {slices.name(key) for key in slices.rows_by_slice(table, config)}
    if strange := sorted(made - known):
        raise ConfigurationError(
            f"the extractors of {asked.hooks.module} make the slice {strange[0]}, which slicing_specs do not\n"
            "expected: slices of features\nfix: make it a feature in an extractor, and name that in slicing_specs"
        )
