"""Predicts the eval rows: once a model, both models on the same rows, in large batches."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.evaluate import multilabel_metrics, tasks
from kfp_ct.components.evaluate.config import CHALLENGER, Plan
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.model import Model, Signature
from kfp_ct.components.evaluate.samples import Array, Floats, Sample, Scored, Scores
from kfp_ct.components.evaluate.settings import LOGITS, MULTICLASS, MULTILABEL, Gates
from kfp_ct.components.evaluate.tasks import Decoder
from kfp_ct.data import layouts
from kfp_ct.data.reading import iter_batches


@dataclasses.dataclass(frozen=True)
class Predicted:
    """The eval rows as they are read, and what the models said of them: model → output → (rows, width)."""

    columns: pa.Table
    predictions: dict[str, dict[str, Floats]]


def check_columns(examples_path: str, plan: Plan, gate_slices: Sequence[str]) -> list[str]:
    """Returns the columns to read beside those that the models take.

    Raises:
        ConfigurationError: The evaluation config or a gate names a column that the examples do not have.
    """
    there = layouts.read_manifest(examples_path).columns
    named = [
        *((output.label, "label_key") for output in plan.outputs),
        *((output.weight, "example_weight_key") for output in plan.outputs if output.weight),
        *((name, "slicing_specs") for name in plan.slice_columns),
        *((name, "the evaluation config") for name in plan.columns),
        *((name, "gates.slices") for name in gate_slices),
    ]
    for name, source in named:
        if name not in there:
            raise ConfigurationError(
                f"{source} names the column {name!r}, which the examples do not have\nexpected: one of {sorted(there)}"
            )
    return sorted({name for name, _ in named})


def predict(files: Sequence[str], models: dict[str, Model], keep: Sequence[str]) -> Predicted:
    """Predicts every row to judge on with every model.

    Memory holds one batch of rows, the columns to keep, and four bytes for each number that a model puts out.

    Args:
        files: Files of the splits to judge on.
        models: TFMA's model name → model.
        keep: What else to read.

    Raises:
        DataError: There are no rows.
    """
    kept: list[pa.Table] = []

    def keeping() -> Iterator[pa.RecordBatch]:
        for batch in iter_batches(files, wanted(models.values(), keep)):
            kept.append(pa.Table.from_batches([batch]).select(list(keep)))
            yield batch

    found = score(keeping(), models)
    return Predicted(concatenate(kept), found)


def score(batches: Iterable[pa.RecordBatch], models: Mapping[str, Model]) -> dict[str, dict[str, Floats]]:
    """Returns what the models say of rows: model → output → (rows, width); no output where there are no rows."""
    found: dict[str, dict[str, list[Floats]]] = {name: {} for name in models}
    for batch in batches:
        for name, model in models.items():
            for output, values in model.predict(batch).items():
                found[name].setdefault(output, []).append(values)
    return {name: {key: np.concatenate(parts) for key, parts in of.items()} for name, of in found.items()}


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Joins the parts of the eval split.

    Raises:
        DataError: There are no rows.
    """
    if not sum(table.num_rows for table in tables):
        raise DataError("the eval split has no rows: nothing can be judged\nfix: widen the window or change the split")
    return pa.concat_tables(tables)


def decoders(
    plan: Plan, gates: Gates, schema: schema_pb2.Schema, predicted: Predicted, model_path: str
) -> list[Decoder]:
    """Says how each output is read, the one that the gates judge first.

    Raises:
        ConfigurationError: The gates ask for an output that there is not, or classes are unknown.
    """
    names = [output.name for output in plan.outputs]
    if gates.output and gates.output not in names:
        raise ConfigurationError(f"gates.output is {gates.output!r}\nexpected: one of {names}")
    ordered = sorted(plan.outputs, key=lambda output: output.name != (gates.output or names[0]))
    found = []
    for output in ordered:
        # What the gates say is said of the output that they judge.
        own = gates if output is ordered[0] else Gates()
        column = predicted.columns.column(output.label)
        raw = column, predicted.predictions[CHALLENGER][output.name]
        decoder = tasks.read(plan.config, own, output, raw)
        found.append(_checked(plan, tasks.classes(own, schema, decoder, model_path, column)))
    return found


def _checked(plan: Plan, decoder: Decoder) -> Decoder:
    """Refuses metrics that say nothing of the task; tells in which shape TFMA wants the labels."""
    asked = multilabel_metrics.problems(plan.config, decoder.output.name) if decoder.task == MULTILABEL else ()
    if found := list(asked):
        listed = "\n".join(found)
        raise ConfigurationError(
            f"{listed}\nfix: correct the evaluation config; or say gates.task if {decoder.output.label} is no list of "
            "any number of classes"
        )
    if decoder.task == MULTICLASS:
        return dataclasses.replace(decoder, one_hot=multilabel_metrics.wants_one_hot(plan.config, decoder.output.name))
    return decoder


def signature(examples_path: str, plan: Plan, gates: Gates) -> Signature:
    """Returns what models are asked for: of several labels a row, logits are turned each by itself."""
    kinds = layouts.read_manifest(examples_path).columns
    lists = {output.name for output in plan.outputs if kinds.get(output.label, "").endswith("[]")}
    own = frozenset() if gates.task == MULTICLASS else frozenset(lists)
    return Signature(plan.signature, plan.outputs, gates.model_output == LOGITS, own)


def scores(predicted: Predicted, decoders: Sequence[Decoder], titles: Mapping[str, str], metric: str) -> Scores:
    """Returns labels, weights and predictions of the eval split as the tasks have them.

    Args:
        predicted: All its rows.
        decoders: How the outputs are read, the one that is judged first.
        titles: Model name → what messages call it.
        metric: What the first is judged by.

    Raises:
        DataError: Labels or weights are not what they should be.
        ConfigurationError: Predictions are not.
    """
    found = read(predicted, decoders, titles)
    decoders[0].check_varied(found.primary.sample.labels, metric)
    for scored in found.outputs:
        if not scored.sample.row_weights.sum():
            raise _invalid_weights_error(scored.output.weight)
    return found


def read(predicted: Predicted, decoders: Sequence[Decoder], titles: Mapping[str, str]) -> Scores:
    """Returns labels, weights and predictions of some rows as the tasks have them.

    Raises:
        DataError: Labels or weights are not what they should be.
        ConfigurationError: Predictions are not.
    """
    found = []
    for decoder in decoders:
        output = decoder.output
        labels = decoder.labels(predicted.columns.column(output.label))
        given = {
            name: decoder.predictions(title, predicted.predictions[name][output.name]) for name, title in titles.items()
        }
        sample = Sample(decoder.task, labels, _weights(predicted.columns, output))
        found.append(Scored(output, sample, decoder.classes, given, decoder.one_hot))
    return Scores(tuple(found), predicted.columns)


def prior(examples_path: str, decoder: Decoder) -> Array:
    """Returns what a trivial model would predict for every row, as the train split's labels have it.

    Args:
        examples_path: Dataset with a manifest.
        decoder: How the labels are read.

    Returns:
        The share of positive labels or the mean, shape (1,); or the share of rows of every class, shape (classes,).

    Raises:
        DataError: The train split has no rows, or labels that are none of the task's.
    """
    output = decoder.output
    sums, total = np.zeros(decoder.width if decoder.task in (MULTICLASS, MULTILABEL) else 1), 0.0
    wanted = [output.label, *([output.weight] if output.weight else [])]
    for batch in iter_batches(layouts.split_files(examples_path, layouts.TRAIN), wanted):
        table = pa.Table.from_batches([batch])
        labels, weights = decoder.labels(table.column(output.label)), _weights(table, output)
        row_weights = np.ones(len(labels)) if weights is None else weights
        total += float(row_weights.sum())
        if decoder.task == MULTICLASS:
            sums += np.bincount(labels.astype(np.int64), row_weights, decoder.width)
        else:
            sums += row_weights @ labels.astype(np.float64)
    if not total:
        raise DataError("the train split has no rows that count: there is no prior to compare with")
    return sums / total


def own_prior(scored: Scored) -> Array:
    """Returns what a trivial model that knew the eval rows' own labels would predict, in the shape of `prior`.

    Extractors make labels of the eval rows alone; no constant is harder to beat than this one.
    """
    sample = scored.sample
    weights, labels = sample.row_weights, sample.labels.astype(np.float64)
    if sample.task == MULTICLASS:
        width = next(iter(scored.predictions.values())).shape[1]
        shares: Array = np.bincount(labels.astype(np.int64), weights, width) / weights.sum()
        return shares
    return np.atleast_1d(np.average(labels, axis=0, weights=weights))


def wanted(models: Iterable[Model], keep: Sequence[str]) -> list[str] | None:
    """Returns the columns to read: what the models take, and others; None if it is all."""
    inputs = [model.inputs for model in models]
    if not all(inputs):
        return None  # serialised tf.Examples carry every column
    return sorted({*keep, *(name for names in inputs for name in names)})


def _weights(table: pa.Table, output: Output) -> Array | None:
    if not output.weight:
        return None
    column: Any = table.column(output.weight)
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    weights = column.to_numpy().astype(np.float64) if numeric and not column.null_count else np.array([-1.0])
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise _invalid_weights_error(output.weight)
    return weights


def _invalid_weights_error(column: str) -> DataError:
    return DataError(
        f"the weight {column} is not a finite number of at least 0 in every row, and more in some\n"
        "fix: leave such rows out of the query"
    )
