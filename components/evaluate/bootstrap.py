"""Paired bootstrap of metrics that are functions of sums over rows: seeded, vectorised, memory-bounded.

Rows beyond `MOST_BLOCKS` are summed in that many random blocks first, and blocks are drawn instead of rows: the rows
of a block are exchangeable, so the spread of the resampled sums is the same, and the time does not grow with them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from kfp_ct.components.evaluate import multilabel
from kfp_ct.components.evaluate.samples import Array, Floats, Sample
from kfp_ct.components.evaluate.settings import MULTICLASS, Gates

DRAWS = 1_000
METHOD = f"paired bootstrap, {DRAWS:,} draws"
MOST_BLOCKS = 10_000
# Numbers held at a time, in the drawn counts and in the blocks' sums.
MOST_CELLS = 4_000_000
_SEED = 20_130_601

Blocks = npt.NDArray[np.int64]
_Sums = Callable[[Sample, Floats, Blocks, int], Array]


def value(metric: str, sample: Sample, predictions: Floats) -> float:
    """Returns a metric; NaN where it is not defined."""
    sums, of = SUMS[metric]
    whole = sums(sample, predictions, np.zeros(len(sample.labels), np.int64), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(of(whole)[0])


def gain_interval(gates: Gates, sample: Sample, pair: tuple[Floats, Floats], sign: float) -> tuple[float, float]:
    """Returns the ends of the interval of the first model's gain over the second.

    Args:
        gates: Names the metric and the confidence level.
        sample: Labels and weights; both models are resampled with the same draws.
        pair: Predictions of both.
        sign: −1 where less is better.
    """
    rows = len(sample.labels)
    if rows < 2:
        return -float("inf"), float("inf")
    sums, of = SUMS[gates.metric]
    generator = np.random.default_rng(_SEED)
    blocks, count = _blocks(sample, pair[0], generator)
    first, second = (sums(sample, predictions, blocks, count) for predictions in pair)
    gains = []
    for drawn in _draws(count, generator):
        with np.errstate(divide="ignore", invalid="ignore"):
            gains.append(sign * (of(drawn @ first) - of(drawn @ second)))
    known = np.concatenate(gains)
    known = known[np.isfinite(known)]
    if len(known) < DRAWS // 2:  # where most draws have no value, neither has the interval
        return -float("inf"), float("inf")
    tail = (1 - gates.confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def predicted_classes(task: str, predictions: Floats) -> npt.NDArray[np.int64]:
    """Returns the class that each row is taken for: above 0.5, or the most probable."""
    return predictions.argmax(axis=1) if task == MULTICLASS else (predictions > 0.5).astype(np.int64)


def _blocks(sample: Sample, predictions: Floats, generator: np.random.Generator) -> tuple[Blocks, int]:
    rows = len(sample.labels)
    width = 3 * (predictions.shape[1] if predictions.ndim == 2 else 2)
    most = min(MOST_BLOCKS, max(MOST_CELLS // width, 100))
    if rows <= most:
        return np.arange(rows), rows
    return generator.permutation(rows) % most, most


def _draws(count: int, generator: np.random.Generator) -> Iterator[Array]:
    """Yields how often each block is drawn, shape (draws, blocks), a part of the draws at a time."""
    at_once = max(1, min(DRAWS, MOST_CELLS // count))
    for start in range(0, DRAWS, at_once):
        draws = min(at_once, DRAWS - start)
        picked = generator.integers(0, count, (draws, count)) + np.arange(draws)[:, None] * count
        yield np.bincount(picked.reshape(-1), minlength=draws * count).reshape(draws, count).astype(np.float64)


def _error_sums(sample: Sample, predictions: Floats, blocks: Blocks, count: int) -> Array:
    row_weights, labels = sample.row_weights, sample.labels.astype(np.float64)
    centred = labels - labels.mean()  # the variance below is a difference of large sums otherwise
    error = labels - predictions.astype(np.float64)
    parts = (row_weights, row_weights * centred, row_weights * centred**2, row_weights * error**2)
    return np.stack([np.bincount(blocks, part, count) for part in parts], axis=1)


def _root_mean_squared_error(sums: Array) -> Array:
    return np.sqrt(sums[:, 3] / sums[:, 0])


def _r2(sums: Array) -> Array:
    """R², the share of the labels' variance that is explained; NaN where they do not vary."""
    weight, first, second, errors = sums.T
    spread = second - first**2 / weight
    return np.where(spread > 1e-12 * np.maximum(second, 1e-300), 1 - errors / spread, np.nan)


def _recall_sums(sample: Sample, predictions: Floats, blocks: Blocks, count: int) -> Array:
    classes = predictions.shape[1] if predictions.ndim == 2 else 2
    labels = sample.labels.astype(np.int64)
    cells, row_weights = blocks * classes + labels, sample.row_weights
    hits = row_weights * (predicted_classes(sample.task, predictions) == labels)
    parts = [np.bincount(cells, part, count * classes).reshape(count, classes) for part in (row_weights, hits)]
    return np.concatenate(parts, axis=1)


def _balanced_accuracy(sums: Array) -> Array:
    """The mean of the recalls of the classes that there are."""
    rows, hits = np.split(sums, 2, axis=1)
    there = rows > 0
    recalls = np.divide(hits, rows, out=np.zeros_like(hits), where=there)
    return recalls.sum(axis=1) / there.sum(axis=1)


SUMS: dict[str, tuple[_Sums, Callable[[Array], Array]]] = {
    "rmse": (_error_sums, _root_mean_squared_error),
    "r2": (_error_sums, _r2),
    "balanced_accuracy": (_recall_sums, _balanced_accuracy),
    "macro_f1": (multilabel.count_sums, multilabel.macro_f1),
    "micro_f1": (multilabel.count_sums, multilabel.micro_f1),
}
