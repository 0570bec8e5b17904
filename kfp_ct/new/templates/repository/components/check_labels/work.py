"""Counts the label's values in every split; stops where one is too rare to learn, or to judge a model by."""

from collections import Counter
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts, reading

MOST_VALUES = 1_000


def check(examples_path: str, output_path: str, label: str, min_share: float) -> dict[str, Any]:
    """Writes `summary.json`.

    Args:
        examples_path: Dataset with a manifest.
        output_path: Folder of the artifact.
        label: Column of a few values.
        min_share: What every value must have of every split's rows, at least.

    Returns:
        Metadata of the artifact: value to share, by split.

    Raises:
        ConfigurationError: There is no such column, or it is no label of a few values.
        DataError: A split has no rows, or a value is too rare in it.
    """
    manifest = layouts.read_manifest(examples_path)
    if label not in manifest.columns:
        raise ConfigurationError(
            f"the dataset has no column {label!r}\nexpected: one of {', '.join(manifest.columns)}\nfix: correct label"
        )
    counts = {split.name: _counts(examples_path, split.name, label) for split in manifest.splits}
    if empty := [name for name, found in counts.items() if not found]:
        raise DataError(f"split {empty[0]} has no rows\nfix: widen the window, or hold out less")
    values = sorted(set().union(*counts.values()))
    shares = {name: {value: found[value] / found.total() for value in values} for name, found in counts.items()}
    layouts.write_json(Path(output_path) / layouts.SUMMARY, shares)
    rare = [
        f"{value} is {share:.2%} of split {name}"
        for name, found in shares.items()
        for value, share in found.items()
        if share < min_share
    ]
    if rare:
        raise DataError(
            f"the label {label} has values that are too rare: {'; '.join(rare[:5])}\n"
            f"expected: {min_share:.2%} of the rows at least\nfix: look at the query, or lower min_share"
        )
    task_log.summary(f"{label} has {len(values)} values; the rarest is {min(map(_rarest, shares.values())):.1%}")
    return shares


def _counts(examples_path: str, split: str, label: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for batch in reading.iter_batches(layouts.split_files(examples_path, split), [label]):
        for each in batch.column(0).value_counts().to_pylist():
            counts["missing" if each["values"] is None else str(each["values"])] += each["counts"]
        if len(counts) > MOST_VALUES:
            raise ConfigurationError(
                f"the label {label} has more than {MOST_VALUES:,} values\nexpected: binary, or classes\n"
                "fix: leave this step out where numbers are predicted"
            )
    return counts


def _rarest(shares: dict[str, float]) -> float:
    return min(shares.values())
