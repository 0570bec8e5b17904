"""Permutation importance: how much worse the judged metric gets when one input's values are shuffled between rows.

After Breiman, "Random Forests" (2001), on held-out rows and for any model. Both predictions are of the same rows, so a
loss has the paired interval by which the gates compare two models.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import estimates, preprocessed, scoring
from kfp_ct.components.evaluate.config import CHALLENGER, Plan, read_plan
from kfp_ct.components.evaluate.model import Model
from kfp_ct.components.evaluate.samples import Scored
from kfp_ct.components.evaluate.scoring import Predicted
from kfp_ct.components.evaluate.settings import Gates
from kfp_ct.components.evaluate.tasks import Decoder
from kfp_ct.data import batches, layouts
from kfp_ct.data.layouts import BATCH_ROWS
from kfp_ct.data.reading import iter_batches

SEED = 1
METHOD = "permutation"


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """A model that was evaluated, and what it was judged on.

    Attributes:
        model_path: Model artifact.
        examples_path: Dataset with a manifest.
        schema_file: Its schema.
        eval_config: TFMA's EvalConfig by which it was judged, a file.
        gates: The gates as the evaluation settled them; they name the metric and the intervals' level.
    """

    model_path: str
    examples_path: str
    schema_file: str
    eval_config: str
    gates: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Rows:
    """The splits of a dataset that a model was judged on."""

    examples_path: str
    splits: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Importance:
    """What the model loses without an input: the loss of the metric, more is worse, and its interval."""

    feature: str
    loss: float
    low: float
    high: float


def measure(evaluated: Evaluated, folder: str, most: int) -> dict[str, Any]:
    """Measures every input of a model on rows of the eval split.

    Args:
        evaluated: The model.
        folder: Where columns go that the EvalConfig has computed; they are removed again.
        most: Rows; of more, as many are drawn at random.

    Returns:
        The `metric`, its `value` on the `rows`, `features` with their loss and its interval, the greatest loss first,
        and what it cost in `seconds`.

    Raises:
        CtError: The model or the rows cannot be read.
    """
    begun = time.process_time()
    opening = opened(evaluated, folder, most)
    plan, gates, model, table = opening.plan, opening.gates, opening.model, opening.table
    asked = _Asked(model, table, _decoder(evaluated, plan, gates, (model, table)), gates)
    names = [name for name in model.inputs or opening.columns if name not in _not_inputs(plan, bool(model.inputs))]
    found = sorted((asked.without(name) for name in names), key=lambda each: -each.loss)
    return {
        "method": METHOD,
        "metric": gates.metric,
        "value": estimates.value(gates.metric, asked.sample, asked.predictions),
        "rows": table.num_rows,
        "confidence": gates.confidence,
        "features": [_as_json(each) for each in found],
        "seconds": round(time.process_time() - begun, 2),
    }


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model, and rows that it was judged on, with all columns that are kept of them."""

    plan: Plan
    gates: Gates
    model: Model
    table: pa.Table
    columns: list[str]


def opened(evaluated: Evaluated, folder: str, most: int) -> Opened:
    """Loads a model and rows of the splits that it was judged on; the arguments are those of `measure`.

    Raises:
        CtError: The model or the rows cannot be read.
    """
    plan, gates = read_plan(evaluated.eval_config), Gates(**evaluated.gates)
    if gates.extractors:
        raise ConfigurationError(
            f"importance is not measured where {gates.extractors} makes labels and predictions\n"
            "expected: a model that is asked by its signature"
        )
    making = preprocessed.Preprocessing(plan.preprocessing, evaluated.model_path, plan.columns)
    with preprocessed.rows(making, evaluated.examples_path, folder) as examples:
        there = list(layouts.read_manifest(examples).columns)
        signature = scoring.signature(examples, plan, gates)
        model = Model(evaluated.model_path, "the model", signature, there)
        keep = scoring.check_columns(examples, plan, ())
        table = sampled(Rows(examples, gates.example_splits), scoring.wanted([model], keep), most)
    return Opened(plan, gates, model, table, there)


def sampled(dataset: Rows, columns: Sequence[str] | None, most: int) -> pa.Table:
    """Returns the rows that the model was judged on; at random as many as are wanted where there are more.

    Raises:
        DataError: There are no rows.
    """
    manifest = layouts.read_manifest(dataset.examples_path)
    total = sum(manifest.split(name).rows for name in dataset.splits)
    chosen = np.ones(total, bool)
    if total > most:
        chosen[np.random.default_rng(SEED).permutation(total)[most:]] = False
    kept, done = [], 0
    for batch in iter_batches(layouts.files_of_splits(dataset.examples_path, dataset.splits), columns):
        kept.append(pa.Table.from_batches([batch]).filter(pa.array(chosen[done : done + batch.num_rows])))
        done += batch.num_rows
    return scoring.concatenate(kept)


def shuffled(table: pa.Table, name: str) -> pa.Table:
    """Returns a table with one column's values moved between the rows, in the same way for every column."""
    order = np.random.default_rng(SEED).permutation(table.num_rows)
    return table.set_column(table.column_names.index(name), name, table.column(name).take(pa.array(order)))


class _Asked:
    """A model that is asked about the same rows again and again."""

    def __init__(self, model: Model, table: pa.Table, decoder: Decoder, gates: Gates) -> None:
        self._model, self._table, self._decoder, self._gates = model, table, decoder, gates
        scored = self._read(table)
        self.sample, self.predictions = scored.sample, scored.predictions[CHALLENGER]

    def without(self, name: str) -> Importance:
        """Shuffles an input's values between the rows; missing ones move as any."""
        without = self._read(shuffled(self._table, name)).predictions[CHALLENGER]
        loss = estimates.gain(self._gates, self.sample, self.predictions, without)
        return Importance(name, loss.value, loss.low, loss.high)

    def _read(self, table: pa.Table) -> Scored:
        predicted = Predicted(table, scoring.score(_batches(table), {CHALLENGER: self._model}))
        return scoring.read(predicted, [self._decoder], {CHALLENGER: "the model"}).primary


def _decoder(evaluated: Evaluated, plan: Plan, gates: Gates, asked: tuple[Model, pa.Table]) -> Decoder:
    """Returns how the output is read that the gates judged."""
    model, table = asked
    predicted = Predicted(table, scoring.score(_batches(table), {CHALLENGER: model}))
    schema = batches.read_schema(evaluated.schema_file)
    return scoring.decoders(plan, gates, schema, predicted, evaluated.model_path)[0]


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.combine_chunks().to_batches(BATCH_ROWS)


def _not_inputs(plan: Plan, named: bool) -> set[str]:
    """Labels and weights, where a model takes whole examples; a model that names its inputs means them."""
    return set() if named else {name for output in plan.outputs for name in (output.label, output.weight)}


def _as_json(found: Importance) -> dict[str, Any]:
    numbers = {"loss": found.loss, "low": found.low, "high": found.high}
    return {"feature": found.feature} | {name: each if math.isfinite(each) else None for name, each in numbers.items()}
