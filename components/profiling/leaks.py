"""Columns that alone tell the label: most often they are written after what is to be predicted has happened."""

import numpy as np
import numpy.typing as npt

# The area under the ROC curve that hardly any honest column has alone.
SUSPICIOUS = 0.99
# A value of a category is judged if it is in so many rows; a rare one is always pure.
_FEWEST = 3


def strength(values: npt.NDArray[np.generic], label: npt.NDArray[np.int64]) -> float:
    """Returns the AUC of the best answer that a column alone can give, from 0.5 to 1.

    Args:
        values: Floats, NaN where missing, or texts; one a row.
        label: 0 or 1.
    """
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values.astype("float64"), nan=-np.inf)
        # Also by whether there is a value at all: a field filled in afterwards gives itself away so.
        missing = np.isnan(values.astype("float64")).astype("float64")
        return max(_two_sided(finite, label), _two_sided(missing, label))
    _, codes = np.unique(values.astype(str), return_inverse=True)
    counts = np.bincount(codes)
    shares = np.bincount(codes, label) / counts
    # What is said of a rare value is what is said of all rows.
    shares[counts < _FEWEST] = label.mean()
    return _two_sided(shares[codes], label)


def _two_sided(scores: npt.NDArray[np.float64], label: npt.NDArray[np.int64]) -> float:
    _, codes, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    positives = int(label.sum())
    negatives = len(label) - positives
    area = (ranks[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))
