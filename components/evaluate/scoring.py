"""Predicts the eval rows: once a model, both models on the same rows, in large batches."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components import artifacts
from components.errors import ConfigurationError, DataError
from components.evaluate.config import Plan
from components.evaluate.model import Model
from components.evaluate.results import Scores


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of the examples to carry along, beside those the models take."""

    label: str
    keep: list[str]


def check_columns(examples_path: str, plan: Plan, gate_slices: Sequence[str]) -> Columns:
    """Returns the label and the slicing columns.

    Raises:
        ConfigurationError: The evaluation config or a gate names a column that the examples do not have.
    """
    there = artifacts.read_manifest(examples_path).columns
    for name, source in [
        (plan.label, "label_key"),
        *((name, "slicing_specs") for name in plan.slice_columns),
        *((name, "gates.slices") for name in gate_slices),
    ]:
        if name not in there:
            raise ConfigurationError(
                f"{source} names the column {name!r}, which the examples do not have\nexpected: one of {sorted(there)}"
            )
    # Arrow forgets the number of rows of a table without a column: without slices, any one is kept.
    keep = sorted({*plan.slice_columns, *gate_slices}) or [name for name in there if name != plan.label][:1]
    return Columns(plan.label, keep)


def score(examples_path: str, models: dict[str, Model], columns: Columns) -> Scores:
    """Predicts every row of the eval split with every model.

    Memory holds one batch of rows, and four bytes a row and model.

    Args:
        examples_path: Dataset with a manifest.
        models: TFMA's model name → model.
        columns: What else to read.

    Raises:
        DataError: There are no rows, or labels are not 0 and 1 of both kinds.
    """
    files = artifacts.split_files(examples_path, artifacts.EVAL)
    labels: list[npt.NDArray[np.float32]] = []
    predictions: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in models}
    kept: list[pa.Table] = []
    for batch in artifacts.iter_batches(files, _wanted(models.values(), columns)):
        labels.append(_labels(batch.column(columns.label), columns.label))
        kept.append(pa.Table.from_batches([batch]).select(columns.keep))
        for name, model in models.items():
            predictions[name].append(model.predict(batch))
    _check_labels(labels, columns.label)
    joined = {name: np.concatenate(parts) for name, parts in predictions.items()}
    return Scores(columns.label, np.concatenate(labels), joined, pa.concat_tables(kept))


def prior(examples_path: str, label: str) -> float:
    """Returns the share of positive labels in the train split: the constant a trivial model would predict.

    Raises:
        DataError: The train split has no rows, or labels that are not 0 or 1.
    """
    positives = rows = 0.0
    for batch in artifacts.iter_batches(artifacts.split_files(examples_path, artifacts.TRAIN), [label]):
        labels = _labels(batch.column(0), label)
        positives, rows = positives + float(labels.sum(dtype=np.float64)), rows + len(labels)
    if not rows:
        raise DataError("the train split has no rows: there is no prior to compare with")
    return positives / rows


def _wanted(models: Iterable[Model], columns: Columns) -> list[str] | None:
    inputs = [model.inputs for model in models]
    if not all(inputs):
        return None  # serialised tf.Examples carry every column
    return sorted({columns.label, *columns.keep, *(name for names in inputs for name in names)})


def _labels(column: pa.Array, name: str) -> npt.NDArray[np.float32]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(f"the label {name} is {column.type}\nexpected: the numbers 0 and 1")
    if column.null_count:
        raise DataError(f"the label {name} is missing in {column.null_count:,} rows\nmend: leave them out of the query")
    labels = column.to_numpy(zero_copy_only=False).astype(np.float32)
    if not np.isin(labels, (0, 1)).all():
        raise DataError(f"the label {name} has values other than 0 and 1\nexpected: a binary label")
    return labels


def _check_labels(labels: list[npt.NDArray[np.float32]], name: str) -> None:
    rows = sum(map(len, labels))
    if not rows:
        raise DataError("the eval split has no rows: nothing can be judged\nmend: widen the window or change the split")
    positives = int(sum(part.sum(dtype=np.float64) for part in labels))
    if positives in (0, rows):
        raise DataError(
            f"the label {name} is {int(bool(positives))} in all {rows:,} eval rows: nothing can be told apart\n"
            "expected: rows of both classes\nmend: widen the window or change the split"
        )
