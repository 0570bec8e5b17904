"""Metrics of rows that have any number of classes, each with a probability of its own.

A class whose probability is above 0.5 is said to be there.
Labels and predictions have the shape (rows, classes).
"""

import numpy as np
import numpy.typing as npt

from kfp_ct.components.evaluate.samples import Array, Floats, Sample

THRESHOLD = 0.5


def hamming_losses(sample: Sample, predictions: Floats) -> Array:
    """Returns the share of each row's classes that are told wrongly; the mean is 1 minus TFMA's binary accuracy."""
    return (_labels(sample) != (predictions > THRESHOLD)).mean(axis=1)


def exact_matches(sample: Sample, predictions: Floats) -> Array:
    """Returns 1 for each row whose classes are all told rightly; the mean is the subset accuracy."""
    return (_labels(sample) == (predictions > THRESHOLD)).all(axis=1).astype(np.float64)


def count_sums(sample: Sample, predictions: Floats, blocks: npt.NDArray[np.int64], count: int) -> Array:
    """Returns what each block counts of each class: true positives, false positives, false negatives; weighted.

    Returns:
        Shape (blocks, 3 · classes).
    """
    actual, said = _labels(sample), predictions > THRESHOLD
    parts = np.concatenate([actual & said, ~actual & said, actual & ~said], axis=1)
    weights = sample.row_weights
    return np.stack([np.bincount(blocks, weights * column, count) for column in parts.T], axis=1)


def macro_f1(sums: Array) -> Array:
    """Returns the mean F1 of the classes that are there or said to be: of others it is not defined."""
    hits, false, missed = np.split(sums, 3, axis=1)
    total = 2 * hits + false + missed
    scores = np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0)
    found: Array = scores.sum(axis=1) / (total > 0).sum(axis=1)
    return found


def micro_f1(sums: Array) -> Array:
    """Returns the F1 of all classes' counts together."""
    hits, false, missed = (part.sum(axis=1) for part in np.split(sums, 3, axis=1))
    found: Array = 2 * hits / (2 * hits + false + missed)
    return found


def _labels(sample: Sample) -> npt.NDArray[np.bool_]:
    return sample.labels > THRESHOLD
