"""Rows whose labels their features explain: noise is not learnt by heart from two columns by any small model."""

from collections.abc import Mapping

import numpy as np

# One row in so many is near.
NEARBY = 8


def explained(features: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Says of each row whether its label is more frequent among the rows nearest to it than among all.

    Such rows' labels are a function of their features, as smooth as an eighth of all rows make it; of each label some
    are kept, however rare it is. After Wilson's editing (IEEE SMC-2, 1972), which asks for most neighbours.

    Args:
        features: Entries `[n, …]` by name; numbers differ by standard deviations, all else by being the same or not.
        labels: Classes as numbers, `[n]`.

    Returns:
        Booleans `[n]`.
    """
    distances = sum(map(_distances, features.values()), np.zeros((len(labels), len(labels))))
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : max(1, len(labels) // NEARBY)]
    same = labels[:, None] == labels
    return np.take_along_axis(same, nearest, axis=1).mean(axis=1) > same.mean(axis=1)


def _distances(values: np.ndarray) -> np.ndarray:
    """Returns how far the rows are from each other by one feature, `[n, n]`."""
    flat = values.reshape(len(values), -1)
    if flat.dtype.kind != "f":
        return np.asarray((flat[:, None, :] != flat[None, :, :]).mean(axis=2), "float64")
    known = np.nan_to_num(flat.astype("float64"), posinf=0, neginf=0)
    scale = known.std(axis=0)
    scaled = known / np.where(scale > 0, scale, 1)
    return np.asarray(np.abs(scaled[:, None, :] - scaled[None, :, :]).mean(axis=2))
