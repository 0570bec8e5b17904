"""Integrated gradients: how much of a model's output each raw column makes, by the model's own gradients.

After Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (2017): along the straight way from a
baseline to a row, gradients are summed up; what the parts of the row get adds up to the difference of the outputs
("completeness"), which is checked here of every row. The way is taken where gradients exist, among float features after
the transform and embeddings; whose part is whose is found by shuffling raw columns. The baseline is the mean over rows.
"""

import dataclasses
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import attribution_graph
from kfp_ct.components.evaluate.attribution_graph import CutModel
from kfp_ct.components.evaluate.importance import SEED, Evaluated, opened, shuffled
from kfp_ct.components.evaluate.model import Model

METHOD = "integrated gradients"
# Points on the way: doubled until the parts add up, at most so many.
_FEWEST, _MOST = 32, 512
# How far, of the mean difference of outputs, the parts' sum may be from it; below the second number it is rounding.
_GAP, _ROUNDING = 0.01, 1e-5
_RESAMPLES = 1_000
_ROWS_AT_ONCE = 1_000
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What is attributed: `[n]` a name, the points on the way, and how far the sums are off."""

    by_name: dict[str, Array]
    points: int
    gap: float


def measure(evaluated: Evaluated, folder: str, most: int) -> dict[str, Any]:
    """Attributes a model's output to its raw columns, over rows of the eval split.

    Args:
        evaluated: The model.
        folder: Where columns go that the EvalConfig has computed; they are removed again.
        most: Rows; of more, as many are drawn at random.

    Returns:
        `features`: for each raw column, or columns that reach the model only together, the mean over rows of the amount
        by which it moves the output from what the mean row gives, with an interval over rows, the greatest first. The
        `output`, the number of `rows`, `points` on the way, the `gap` of completeness, and the `seconds` it took.

    Raises:
        ConfigurationError: The model has no gradient, or its parts do not add up.
        CtError: The model or the rows cannot be read.
    """
    begun = time.process_time()
    asked = opened(evaluated, folder, most)
    model, table = asked.model, asked.table
    function, output = model.judged()
    rows = _Rows(CutModel(function, output, model.title), model, table)
    parts = rows.parts()
    level = asked.gates.confidence
    found = sorted((_as_json(name, parts.by_name[name], level) for name in parts.by_name), key=lambda it: -it["moves"])
    return {
        "method": METHOD,
        "output": output,
        "rows": table.num_rows,
        "confidence": level,
        "features": found,
        "points": parts.points,
        "gap": parts.gap,
        "seconds": round(time.process_time() - begun, 2),
    }


class _Rows:
    """Rows at a model's cut."""

    def __init__(self, cut: CutModel, model: Model, table: Any) -> None:
        self._cut, self._model, self._table = cut, model, table
        self._feed = self._fed(table)
        self._values = self._at_cut(self._feed)
        self._base = [tf.reduce_mean(each, 0, keepdims=True) for each in self._values]
        outputs = cut.output(self._values, self._feed)
        # Of classes, the one that is predicted.
        classes = int(outputs.shape[1])
        self._chosen = tf.one_hot(tf.argmax(outputs, 1), classes, dtype=outputs.dtype)
        away = tf.reduce_sum((outputs - cut.output(self._baseline(len(self._table)), self._feed)) * self._chosen, 1)
        self._difference: Array = away.numpy().astype(np.float64)

    def parts(self) -> _Parts:
        """Returns what each column makes of every row's output.

        Raises:
            ConfigurationError: The parts do not add up.
        """
        owners = self._owners()
        points = _FEWEST
        while True:
            found = self._attributed(points)
            gap = float(np.abs(found.sum(1) - self._difference).mean())
            allowed = max(_GAP * float(np.abs(self._difference).mean()), _ROUNDING)
            if gap <= allowed:
                return _Parts(
                    {name: found[:, owners == name].sum(1) for name in sorted(set(owners) - {""})}, points, gap
                )
            if points >= _MOST:
                raise ConfigurationError(
                    f"{self._model.title} has no integrated gradients: what its inputs get is off by {gap:.2g} from "
                    f"what they should add up to, a mean of {np.abs(self._difference).mean():.2g}, at {points} points\n"
                    f"{attribution_graph.NO_GRADIENT}"
                )
            points *= 2

    def _attributed(self, points: int) -> Array:
        """Returns every row's parts by position at the cut, `[n, positions]`."""
        chunks = []
        for start in range(0, len(self._table), _ROWS_AT_ONCE):
            here = slice(start, start + _ROWS_AT_ONCE)
            values, chosen = [each[here] for each in self._values], self._chosen[here]
            feed = {name: each[here] for name, each in self._feed.items()}
            total = [tf.zeros_like(each) for each in values]
            for point in range(points):
                share = (point + 0.5) / points  # the middle of each piece of the way
                on_way = [base + share * (each - base) for base, each in zip(self._base, values, strict=True)]
                slopes = self._cut.gradients(on_way, feed, chosen)
                total = [sum_ + slope for sum_, slope in zip(total, slopes, strict=True)]
            ways = zip(self._base, values, total, strict=True)
            chunks.append(np.concatenate([_flat((each - base) * sum_ / points) for base, each, sum_ in ways], axis=1))
        return np.concatenate(chunks)

    def _owners(self) -> npt.NDArray[Any]:
        """Returns the name of the column, or columns, that each position at the cut depends on; empty: of none."""
        before = np.concatenate([_flat(each) for each in self._values], axis=1)
        names: list[list[str]] = [[] for _ in range(before.shape[1])]
        for name in self._table.column_names:
            fed = self._fed(shuffled(self._table, name))
            after = np.concatenate([_flat(each) for each in self._at_cut(fed)], axis=1)
            for position in np.flatnonzero((after != before).any(axis=0)):
                names[position].append(name)
        return np.array([" × ".join(each) for each in names])

    def _at_cut(self, feed: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        found = self._cut.at_cut(feed)
        for each in found:
            if (
                each.shape.rank == 0
                or each.shape[0] != len(self._table)
                or not bool(tf.reduce_all(tf.math.is_finite(each)))
            ):
                raise ConfigurationError(
                    f"{self._model.title} has no integrated gradients: what its trained variables are given is "
                    f"{each.dtype.name} of shape {tuple(each.shape)} for {len(self._table)} rows, or not finite\n"
                    f"{attribution_graph.NO_GRADIENT}"
                )
        return found

    def _baseline(self, rows: int) -> list[tf.Tensor]:
        return [tf.repeat(each, rows, axis=0) for each in self._base]

    def _fed(self, table: Any) -> dict[str, tf.Tensor]:
        (batch,) = table.combine_chunks().to_batches()
        return self._model.feed(batch)


def _flat(values: tf.Tensor) -> Array:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _as_json(name: str, parts: Array, level: float) -> dict[str, Any]:
    """Returns a column's mean amount with an interval from a bootstrap over rows."""
    amounts = np.abs(parts)
    random = np.random.default_rng(SEED)
    means = [amounts[random.integers(0, len(amounts), len(amounts))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return {"feature": name, "moves": float(amounts.mean()), "low": float(low), "high": float(high)}
