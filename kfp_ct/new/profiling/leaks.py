"""Columns that alone tell the label: most often they are written after what is to be predicted has happened."""

import numpy as np
import numpy.typing as npt

from kfp_ct.new.profiling.label import MULTICLASS, REGRESSION

# The area under the ROC curve, or the share of the ranks' variance, that hardly any honest column has alone.
SUSPICIOUS = 0.99
# A value of a category is judged if it is in so many rows; a rare one is always pure.
_FEWEST = 3
# Of a number against several classes: each is somewhere in between.
_BINS = 100
_Labels = npt.NDArray[np.float64]


def strength(values: npt.NDArray[np.generic], label: _Labels, task: str = "binary") -> float:
    """Returns how good the best answer is that a column alone can give, at most 1.

    Args:
        values: Floats, NaN where missing, or texts; one a row.
        label: 0 or 1, class numbers, or values.
        task: binary: the AUC; multiclass: the AUC of the class that is told worst; regression: the share of the
            variance of the label's ranks that is explained.
    """
    if values.dtype.kind != "f":
        codes = np.unique(values.astype(str), return_inverse=True)[1]
        return _by_group(codes, label, task)
    numbers = values.astype("float64")
    # Also by whether there is a value at all: a field filled in afterwards gives itself away so.
    missing = np.isnan(numbers).astype("int64")
    filled = np.nan_to_num(numbers, nan=-np.inf)
    if task == MULTICLASS:
        whole = _ranks(filled) * _BINS / (len(filled) + 1)
        return max(_by_group(codes, label, task) for codes in (whole.astype("int64"), missing))
    found = _correlation(filled, label) if task == REGRESSION else _two_sided(filled, label)
    return max(found, _by_group(missing, label, task))


def _by_group(codes: npt.NDArray[np.int64], label: _Labels, task: str) -> float:
    """The strength of the answer that is the same for all rows of a group."""
    if task == REGRESSION:
        ranks = _ranks(label)
        return _share(_means(codes, ranks), ranks)
    classes = np.unique(label) if task == MULTICLASS else np.array([1.0])
    return min(_two_sided(_means(codes, part), part) for part in ((label == it).astype("float64") for it in classes))


def _means(codes: npt.NDArray[np.int64], label: _Labels) -> _Labels:
    counts = np.bincount(codes)
    means = np.bincount(codes, label) / np.maximum(counts, 1)
    # What is said of a rare value is what is said of all rows.
    means[counts < _FEWEST] = label.mean()
    return means[codes]


def _two_sided(scores: _Labels, label: _Labels) -> float:
    ranks = _ranks(scores)
    positives = int(label.sum())
    negatives = len(label) - positives
    area = (ranks[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))


def _correlation(values: _Labels, label: _Labels) -> float:
    """Spearman's correlation, squared; 0 if either is constant."""
    first, second = (ranks - ranks.mean() for ranks in (_ranks(values), _ranks(label)))
    size = (first @ first) * (second @ second)
    return float((first @ second) ** 2 / size) if size else 0.0


def _share(answers: _Labels, ranks: _Labels) -> float:
    whole = ((ranks - ranks.mean()) ** 2).sum()
    return float(1 - ((ranks - answers) ** 2).sum() / whole) if whole else 0.0


def _ranks(values: _Labels) -> _Labels:
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[codes], "float64")
