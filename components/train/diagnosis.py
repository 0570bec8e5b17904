"""Finds out what went wrong, and how well it went."""

import math
from collections.abc import Sequence

import tensorflow as tf

from kfp_ct.data import layouts
from kfp_ct.data.training_data import Reader


def non_finite_features(reader: Reader) -> dict[str, int]:
    """Counts the values that are NaN or infinite, by float feature, in the data of the first dataset that was made."""
    if not reader.datasets:
        return {}
    files, options, schema = reader.datasets[0]
    once = options._replace(num_epochs=1, shuffle=False, label_key=None, batch_size=layouts.BATCH_ROWS)
    counts: dict[str, int] = {}
    for features in reader.dataset(files, once, schema):
        for name, values in features.items():
            values = values.values if isinstance(values, tf.SparseTensor) else values
            if values.dtype.is_floating:
                bad = int(tf.math.count_nonzero(~tf.math.is_finite(values)))
                counts[name] = counts.get(name, 0) + bad
    return {name: count for name, count in sorted(counts.items()) if count}


def best_epoch(history: Sequence[dict[str, float]]) -> int | None:
    """Returns the index of the epoch with the lowest (validation) loss; None if none has one."""
    name = "val_loss" if any("val_loss" in epoch for epoch in history) else "loss"
    losses = [(epoch[name], index) for index, epoch in enumerate(history) if math.isfinite(epoch.get(name, math.nan))]
    return min(losses)[1] if losses else None
