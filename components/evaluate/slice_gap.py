"""The consistency rule: between the values of a column, the model's quality may differ only so much."""

import math
from typing import Any

import pyarrow as pa

from kfp_ct.components.evaluate import display, estimates, slices
from kfp_ct.components.evaluate.samples import Floats, Sample
from kfp_ct.components.evaluate.settings import Gates
from kfp_ct.models.blessing import Check


def checks(
    gates: Gates, sample: Sample, predictions: Floats, columns: pa.Table
) -> tuple[list[Check], list[dict[str, Any]]]:
    """Returns a check for each of the gates' slicing columns, and a report of the gaps.

    Args:
        gates: Their metric, `slices`, `min_slice_rows` and `max_slice_gap`.
        sample: Labels and weights.
        predictions: The challenger's.
        columns: The slicing columns.
    """
    found, report = [], []
    for column in gates.slices:
        judged = sorted(
            (estimates.value(gates.metric, sample.on(rows), predictions[rows]), slices.name(key), len(rows))
            for key, rows in slices.rows_by_value(columns, column).items()
            if len(rows) >= gates.min_slice_rows and estimates.is_defined(gates, sample.on(rows))
        )
        check, entry = _check(gates, column, judged)
        found.append(check)
        report.append(entry)
    return found, report


def _check(gates: Gates, column: str, judged: list[tuple[float, str, int]]) -> tuple[Check, dict[str, Any]]:
    allowed = math.inf if gates.max_slice_gap is None else gates.max_slice_gap
    entry: dict[str, Any] = {"column": column, "slices": len(judged), "metric": gates.metric, "gap": None,
                             "allowed": allowed}  # fmt: skip
    if len(judged) < 2:
        there = f"{len(judged) or 'no'} value{'' if len(judged) == 1 else 's'} of {column}"
        reason = (
            f"there {'is' if len(judged) == 1 else 'are'} {there} with at least {gates.min_slice_rows:,} rows to judge"
        )
        return Check("slice_gap", False, f"{reason}, two are needed: nothing could be compared"), entry
    low, high = judged[0], judged[-1]
    gap = high[0] - low[0]
    entry |= {"gap": gap} | {end: {"slice": name, "value": value, "rows": rows}
                             for end, (value, name, rows) in (("low", low), ("high", high))}  # fmt: skip
    passed = gap <= allowed
    reason = (
        f"{display.title(gates.metric)} differs by {display.number(gap)} between the {len(judged)} values of {column} "
        f"with at least {gates.min_slice_rows:,} rows: {low[1]} {display.number(low[0])}, "
        f"{high[1]} {display.number(high[0])}; at most {allowed:g} is allowed"
    )
    return Check("slice_gap", passed, reason), entry
