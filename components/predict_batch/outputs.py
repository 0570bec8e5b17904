"""A batch's predictions as columns, and what is counted of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_ct.base.errors import ConfigurationError

MODEL_VERSION, PREDICTED_AT = "model_version", "predicted_at"
BINS = 20


@dataclasses.dataclass
class Tally:
    """What a shard holds: rows, rows with a NaN or infinite prediction, and of each numeric output its values.

    Attributes:
        rows: Rows scored.
        nonfinite: Rows in which at least one output is NaN or infinite.
        values: Output to count, sum, min and max of its finite values, and how many lie in each twentieth of 0 to 1.
    """

    rows: int = 0
    nonfinite: int = 0
    values: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def add(self, outputs: Mapping[str, npt.NDArray[Any]], rows: int) -> None:
        """Counts a batch."""
        finite = np.ones(rows, bool)
        for name, array in outputs.items():
            if array.dtype.kind not in "fiu":
                continue
            good = np.isfinite(array)
            finite &= good.reshape(rows, -1).all(axis=1)
            self._merge(name, _describe(array[good].astype("float64")))
        self.rows += rows
        self.nonfinite += int(rows - finite.sum())

    def merge(self, other: "Tally") -> None:
        """Counts another shard."""
        self.rows += other.rows
        self.nonfinite += other.nonfinite
        for name, described in other.values.items():
            self._merge(name, described)

    def _merge(self, name: str, new: dict[str, Any]) -> None:
        old = self.values.get(name)
        if old is None or not old["count"]:
            self.values[name] = new
        elif new["count"]:
            self.values[name] = {
                "count": old["count"] + new["count"],
                "sum": old["sum"] + new["sum"],
                "min": min(old["min"], new["min"]),
                "max": max(old["max"], new["max"]),
                "bins": [a + b for a, b in zip(old["bins"], new["bins"], strict=True)],
            }


def require_unique_names(columns: Sequence[str], outputs: Sequence[str]) -> None:
    """Demands that no two columns of the result have one name.

    Raises:
        ConfigurationError: They have.
    """
    names = [*columns, *outputs, MODEL_VERSION, PREDICTED_AT]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"two columns of the predictions would be named {', '.join(twice)}\n"
            f"expected: different names for keys, carried columns, the model's outputs ({', '.join(outputs)}),"
            f" {MODEL_VERSION} and {PREDICTED_AT}\n"
            "fix: name each column once in keys and carry, and rename it in the query where the model has that output"
        )


def to_column(name: str, array: npt.NDArray[Any], rows: int) -> pa.Array:
    """Returns an output as a column: a value a row, a list a row where the model gives several.

    Raises:
        ConfigurationError: The model does not give one row of output for one of input.
    """
    if array.ndim == 0 or len(array) != rows:
        raise ConfigurationError(
            f"the model's output {name} has the shape {list(array.shape)} for {rows:,} rows\n"
            "expected: one row of output for each of input\nfix: choose another signature, or correct the model"
        )
    flat = array.reshape(rows, -1)
    values = _strings(flat.ravel().tolist()) if array.dtype == object else pa.array(flat.ravel())
    if flat.shape[1] == 1:
        return values
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype="int32") * flat.shape[1]), values)


def _strings(values: list[bytes]) -> pa.Array:
    """Returns strings as texts; as bytes if any of them is no text."""
    encoded = pa.array(values, pa.binary())
    try:
        return encoded.cast(pa.string())
    except pa.ArrowInvalid:
        return encoded


def _describe(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    bins = np.histogram(values, BINS, (0.0, 1.0))[0].tolist()
    if not len(values):
        return {"count": 0, "sum": 0.0, "min": None, "max": None, "bins": bins}
    return {
        "count": len(values),
        "sum": float(values.sum()),
        "min": float(values.min()),
        "max": float(values.max()),
        "bins": bins,
    }
