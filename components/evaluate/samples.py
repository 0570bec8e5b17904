"""What is judged of one output: labels, weights and each model's predictions, by task."""

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.settings import BINARY, MULTICLASS, MULTILABEL, REGRESSION

Floats: TypeAlias = npt.NDArray[np.floating]
Array: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Labelled rows.

    Attributes:
        task: binary, multiclass, multilabel or regression.
        labels: 0 or 1; class numbers; or values; shape (rows,). Of multilabel 0 or 1, shape (rows, classes).
        weights: How much each row counts, shape (rows,); None if all count alike.
    """

    task: str
    labels: Floats
    weights: Floats | None = None

    def on(self, rows: Rows) -> "Sample":
        """Returns some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Sample(self.task, self.labels[rows], weights)

    @property
    def row_weights(self) -> Array:
        """The rows' weights, 1 where all count alike."""
        return np.ones(len(self.labels)) if self.weights is None else self.weights.astype(np.float64)

    @property
    def varied(self) -> bool:
        """Whether the labels differ; of multilabel, those of a class."""
        return bool((self.labels.min(axis=0) < self.labels.max(axis=0)).any())

    def is_of_class(self, number: int) -> npt.NDArray[np.bool_]:
        """Returns which rows are of a class."""
        return self.labels[:, number] > 0.5 if self.task == MULTILABEL else self.labels == number


@dataclasses.dataclass(frozen=True)
class Scored:
    """One output after prediction, in file order.

    Attributes:
        output: Its names.
        sample: Labels and weights.
        classes: The classes' names, by number; empty where none are known and in regression.
        predictions: TFMA's model name → probabilities or values (rows,), or probabilities (rows, classes).
        one_hot: Whether TFMA's metrics want class numbers as a 0 or 1 for every class.
    """

    output: Output
    sample: Sample
    classes: tuple[str, ...]
    predictions: dict[str, Floats]
    one_hot: bool = False

    @property
    def label_column(self) -> pa.Array:
        """The labels as TFMA takes them."""
        if self.sample.task == MULTILABEL:
            return as_lists(self.sample.labels)
        if self.one_hot:
            width = next(iter(self.predictions.values())).shape[1]
            return as_lists(np.eye(width, dtype=np.float32)[self.sample.labels.astype(np.int64)])
        return pa.array(self.sample.labels.astype(np.int64) if self.sample.task == MULTICLASS else self.sample.labels)


@dataclasses.dataclass(frozen=True)
class Scores:
    """The eval rows after prediction.

    Attributes:
        outputs: Every output; the first is the one that the gates judge.
        columns: The slicing columns; more where TFMA's ordinary path may need them.
    """

    outputs: tuple[Scored, ...]
    columns: pa.Table

    @property
    def primary(self) -> Scored:
        """The output that the gates judge."""
        return self.outputs[0]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.primary.sample.labels)


def as_lists(values: Floats) -> pa.LargeListArray:
    """Returns an array of two dimensions as a column of lists."""
    rows, width = values.shape
    offsets = pa.array(range(0, (rows + 1) * width, width), pa.int64())
    return pa.LargeListArray.from_arrays(offsets, pa.array(values.reshape(-1)))


def class_name(classes: tuple[str, ...], number: int) -> str:
    """Returns what a class is called."""
    return classes[number] if classes else str(number)


def constant(task: str, values: Floats, rows: int) -> Floats:
    """Returns the trivial model's predictions: the same for every row.

    Args:
        task: binary, multiclass, multilabel or regression.
        values: The positive rate or the mean, shape (1,); or the classes' shares, shape (classes,).
        rows: How many.
    """
    if task in (BINARY, REGRESSION):
        return np.full(rows, values[0])
    return np.broadcast_to(values, (rows, len(values)))
