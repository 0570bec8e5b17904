"""Which task an output has, and its labels and predictions as numbers of that task."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.evaluate import label_lists
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.samples import Floats, Sample
from kfp_ct.components.evaluate.settings import BINARY, METRICS, MULTICLASS, MULTILABEL, REGRESSION, Gates
from kfp_ct.data import layouts, list_columns, user_code
from kfp_ct.pages.formats import quoted

_OR_LOGITS = ", or say gates.model_output: logits"
# A sigmoid or softmax in float32 may end a rounding error outside.
TOLERANCE = 1e-6
SUM_TOLERANCE = 1e-3
_REGRESSION = ("MeanSquared", "RootMeanSquared", "MeanAbsolute", "SquaredPearson", "LogCosh", "Poisson", "R2Score")
_BINARY = ("AUC", "Binary", "Precision", "Recall", "TruePositives", "FalsePositives", "TrueNegatives",
           "FalseNegatives", "Sensitivity", "Specificity", "ConfusionMatrix", "F1Score")  # fmt: skip
_MULTICLASS = ("SparseCategorical", "Categorical", "SparseTopK", "TopK", "MultiClass")


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How an output is read: its task, the classes' names where it has any, and the form of labels that are lists.

    `one_hot` says that TFMA's metrics want class numbers as a 0 or 1 for every class.
    """

    output: Output
    task: str
    classes: tuple[str, ...] = ()
    width: int = 1
    form: str = ""
    one_hot: bool = False

    def labels(self, column: pa.ChunkedArray) -> Floats:
        """Returns the labels as numbers: 0 or 1, class numbers, or values; shape (rows,).

        Those of multilabel are 0 or 1 for each class, shape (rows, classes).

        Raises:
            DataError: A label is missing, or is none of the task's.
        """
        name = self.output.label
        if column.null_count:
            raise DataError(
                f"the label {name} is missing in {column.null_count:,} rows\nfix: leave them out of the query"
            )
        if list_columns.is_list(column.type):
            return self._of_lists(column)
        if self.task == MULTILABEL:
            raise DataError(
                f"the label {name} is one value a row\nexpected: lists, the task being multilabel\n"
                f"fix: string_split({name}, …) in the query, or say gates.task: multiclass"
            )
        if self.task == REGRESSION and _textual(column.type):
            raise DataError(f"the label {name} is text\nexpected: numbers, the task being regression")
        if _textual(column.type) or (self.classes and _named_by_integers(self.classes, column.type)):
            return self._numbered(column.cast(pa.string()))
        return self._checked(column.to_numpy().astype(np.float64))

    def _of_lists(self, column: pa.ChunkedArray) -> Floats:
        """Returns which classes rows have; of multiclass, the one that each has."""
        name = self.output.label
        if self.task not in (MULTILABEL, MULTICLASS):
            raise DataError(
                f"the label {name} is a list, and the task is {self.task}\nexpected: one value a row; or a model that "
                "gives every class a probability, which makes the task multilabel\nfix: several labels of a row that "
                "are several outputs: a column each in the query, and label_keys and prediction_keys in the "
                "evaluation config"
            )
        found = label_lists.matrix(name, column, self.form, self.classes, self.width)
        if self.task == MULTILABEL:
            return found
        if (found.sum(axis=1) != 1).any():
            row = int(np.flatnonzero(found.sum(axis=1) != 1)[0])
            raise DataError(
                f"the label {name} has {int(found[row].sum())} classes in row {row:,}\nexpected: one in every row, "
                "the task being multiclass\nfix: say gates.task: multilabel if a row may have any number of them"
            )
        return found.argmax(axis=1).astype(np.float32)

    def _numbered(self, column: pa.ChunkedArray) -> Floats:
        found = pc.index_in(column, pa.array(self.classes, pa.string()))
        if found.null_count:
            strange = sorted(set(column.unique().to_pylist()) - set(self.classes))
            raise DataError(
                f"the label {self.output.label} has the value {quoted(strange[0])}, which is no class\n"
                f"expected: one of {list(self.classes[:20])}\nfix: name every class in gates.classes, in order"
            )
        return found.to_numpy().astype(np.float32)

    def _checked(self, values: npt.NDArray[np.float64]) -> Floats:
        name = self.output.label
        if self.task == REGRESSION:
            if not np.isfinite(values).all():
                raise DataError(f"the label {name} is not finite in {int((~np.isfinite(values)).sum()):,} rows")
            return values
        if self.task == BINARY and not np.isin(values, (0, 1)).all():
            raise DataError(
                f"the label {name} has values other than 0 and 1\nexpected: a binary label\n"
                "fix: say gates.task: multiclass or regression if it is none"
            )
        if not (np.equal(np.mod(values, 1), 0) & (values >= 0) & (values < max(self.width, 2))).all():
            raise DataError(
                f"the label {name} has values other than class numbers from 0 to {self.width - 1}, "
                "as many as the model has outputs\nfix: number them, or name them in gates.classes"
            )
        return values.astype(np.float32)

    def check_varied(self, labels: Floats, metric: str) -> None:
        """Raises a DataError where the labels are all alike and nothing could be told apart."""
        if (self.task != REGRESSION or metric == "r2") and not Sample(self.task, labels).varied:
            if self.task == MULTILABEL:
                raise DataError(
                    f"the label {self.output.label} has the same classes in all {len(labels):,} eval rows: "
                    "nothing can be told apart\nexpected: rows with and without a class\n"
                    "fix: widen the window or change the split"
                )
            shown = self.classes[int(labels[0])] if self.classes else f"{labels[0]:g}"
            raise DataError(
                f"the label {self.output.label} is {shown} in all {len(labels):,} eval rows: "
                "nothing can be told apart\n"
                "expected: rows of several classes or values\nfix: widen the window or change the split"
            )

    def predictions(self, title: str, values: Floats) -> Floats:
        """Returns a model's predictions in the task's shape.

        Raises:
            ConfigurationError: They are not what the task needs.
        """
        if self.task in (MULTICLASS, MULTILABEL):
            return self._probabilities_by_class(title, values)
        if values.shape[1] == 2 and self.task == BINARY:
            self._probabilities_by_class(title, values)
            return values[:, 1]
        if values.shape[1] != 1:
            raise self._misfit(title, f"has {values.shape[1]} values a row", "one value a row")
        return self._probabilities(title, values[:, 0]) if self.task == BINARY else values[:, 0]

    def _probabilities(self, title: str, values: Floats) -> Floats:
        finite = values[np.isfinite(values)]
        if len(finite) and (finite.min() < -TOLERANCE or finite.max() > 1 + TOLERANCE):
            message = f"runs from {finite.min():.3g} to {finite.max():.3g}"
            raise self._misfit(
                title, message, "probabilities between 0 and 1", f"end the model with a sigmoid{_OR_LOGITS}"
            )
        return np.clip(values, 0, 1)

    def _probabilities_by_class(self, title: str, values: Floats) -> Floats:
        if values.shape[1] < 2:
            raise self._misfit(title, "has one value a row", "a probability for every class")
        if self.task != BINARY and values.shape[1] != self.width:
            found = f"has {values.shape[1]} values a row, where the challenger has {self.width}"
            raise self._misfit(title, found, "the same classes of both models", "compare models of the same classes")
        if self.classes and len(self.classes) != values.shape[1]:
            raise self._misfit(
                title, f"has {values.shape[1]} values a row for {len(self.classes)} classes", "one for every class"
            )
        if self.task == MULTILABEL:
            return self._probabilities(title, values)
        finite = values[np.isfinite(values).all(axis=1)]
        sums = finite.sum(axis=1)
        if len(finite) and (finite.min() < -TOLERANCE or np.abs(sums - 1).max() > SUM_TOLERANCE):
            message = f"has rows that sum to {sums.min():.3g} to {sums.max():.3g}"
            fix = f"end the model with a softmax{_OR_LOGITS}"
            raise self._misfit(title, message, "probabilities that sum to 1", fix)
        return np.clip(values, 0, 1)

    def _misfit(self, title: str, found: str, expected: str, fix: str = "say gates.task") -> ConfigurationError:
        key = self.output.prediction_key
        return ConfigurationError(
            f"{title}'s output{' ' + key if key else ''} {found}\nexpected: {expected}, the task being {self.task}\n"
            f"fix: {fix}, or name another output as prediction_key in the evaluation config"
        )


def read(config: config_pb2.EvalConfig, gates: Gates, output: Output, raw: tuple[pa.ChunkedArray, Floats]) -> Decoder:
    """Infers an output's task: from the gates, the width of the predictions, the metrics asked for, the labels.

    Args:
        config: The user's; which metrics it asks for tells tasks apart.
        gates: Their task is believed.
        output: The output.
        raw: The label's column and the challenger's predictions, shape (rows, width).
    """
    return Decoder(output, gates.task or _inferred(config, gates, output, raw), (), raw[1].shape[1])


def _inferred(config: config_pb2.EvalConfig, gates: Gates, output: Output, raw: tuple[pa.ChunkedArray, Floats]) -> str:
    column, values = raw
    tasks = [task for task, metrics in METRICS.items() if gates.metric in metrics and task != MULTILABEL]
    specs = [spec for spec in config.metrics_specs if not output.name or output.name in spec.output_names]
    names = [metric.class_name for spec in specs for metric in spec.metrics]
    if list_columns.is_list(column.type) and values.shape[1] > 1:
        return MULTICLASS if _some(names, _MULTICLASS) else MULTILABEL
    if values.shape[1] > 2:
        return MULTICLASS
    if values.shape[1] == 2:
        several = any(spec.HasField("binarize") or spec.HasField("aggregate") for spec in specs)
        return MULTICLASS if several or tasks == [MULTICLASS] or _some(names, _MULTICLASS) else BINARY
    if tasks in ([BINARY], [REGRESSION]):
        return tasks[0]
    if tasks == [BINARY, MULTICLASS] or _some(names, _BINARY) or _textual(column.type):
        return BINARY
    if _some(names, _REGRESSION):
        return REGRESSION
    is_list = list_columns.is_list(column.type)  # which `labels` refuses
    return BINARY if is_list or set(column.unique().to_pylist()) <= {0, 1, None} else REGRESSION


def _some(names: list[str], prefixes: tuple[str, ...]) -> bool:
    return any(name.startswith(prefixes) for name in names)


def classes(
    gates: Gates, schema: schema_pb2.Schema, decoder: Decoder, model_path: str, column: pa.ChunkedArray
) -> Decoder:
    """Adds the classes' names: from the gates, else the label's domain in the schema where labels are text.

    What the lists of labels are is told by all of them, here.

    Raises:
        ConfigurationError: Labels are text, and nothing says which class is which; or a file cannot be read.
    """
    if decoder.task == REGRESSION:
        return decoder
    named = _from_gates(gates, model_path)
    is_list = list_columns.is_list(column.type)
    kind = column.type.value_type if is_list else column.type
    if not named and _textual(kind):
        named = _domain(schema, decoder.output.label)
        if not named:
            raise ConfigurationError(
                f"the label {decoder.output.label} is text, and nothing says in which order the model has its classes\n"
                "expected: gates.classes, the names in the order of the model's output, or a vocabulary file of them"
            )
    width = 2 if decoder.task == BINARY else decoder.width
    if named and len(named) != width:
        raise ConfigurationError(
            f"{len(named)} classes are named, and the model tells {width} apart\n"
            f"expected: {width} names in the order of the model's output\nfix: correct gates.classes"
        )
    if len(set(named)) < len(named):
        raise ConfigurationError("gates.classes names a class twice\nexpected: every class once, in order")
    are_names = _textual(kind) or _named_by_integers(named, kind)
    form = label_lists.form(column, width, are_names) if is_list else ""
    return dataclasses.replace(decoder, classes=named, form=form)


def _from_gates(gates: Gates, model_path: str) -> tuple[str, ...]:
    if not isinstance(gates.classes, str):
        return gates.classes
    asset = Path(model_path) / layouts.SERVING_MODEL / "assets" / gates.classes
    text = asset.read_text() if asset.is_file() else user_code.read_text(gates.classes, "file of classes")
    return tuple(line for line in text.splitlines() if line)


def _domain(schema: schema_pb2.Schema, label: str) -> tuple[str, ...]:
    named: Mapping[str, schema_pb2.StringDomain] = {domain.name: domain for domain in schema.string_domain}
    for feature in schema.feature:
        if feature.name == label:
            domain = named.get(feature.domain, feature.string_domain)
            return tuple(domain.value)
    return ()


def _textual(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _named_by_integers(names: tuple[str, ...], kind: pa.DataType) -> bool:
    """Whether whole labels are themselves the names of the classes, and not their numbers."""
    return bool(names) and pa.types.is_integer(kind) and all(name.lstrip("-").isdigit() for name in names)
