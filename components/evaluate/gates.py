"""The gates that TFMA does not have: finite predictions, a trivial baseline, the champion, declared slices."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from components.blessing import Check
from components.evaluate import comparison, slices, words
from components.evaluate.comparison import Floats, Interval
from components.evaluate.config import Gates


@dataclasses.dataclass(frozen=True)
class Contest:
    """Two models on the same rows; `title` is what messages call the champion."""

    labels: Floats
    challenger: Floats
    champion: Floats
    title: str

    def on(self, rows: slices.Rows) -> "Contest":
        """Returns the contest on some of the rows."""
        return Contest(self.labels[rows], self.challenger[rows], self.champion[rows], self.title)

    def gain(self, gates: Gates) -> Interval:
        """Returns by how much the challenger is better."""
        return comparison.gain(gates, self.labels, self.challenger, self.champion)

    def values(self, gates: Gates) -> tuple[float, float]:
        """Returns the primary metric of challenger and champion."""
        return tuple(comparison.value(gates.metric, self.labels, it) for it in (self.challenger, self.champion))  # type: ignore[return-value]


def finite(title: str, predictions: Floats) -> Check:
    """Refuses predictions that are NaN or infinite: no metric of them means anything."""
    bad, rows = int((~np.isfinite(predictions)).sum()), len(predictions)
    if bad:
        return Check("predictions", False, f"{title} gives no finite prediction for {bad:,} of {rows:,} rows")
    return Check("predictions", True, f"{title}'s predictions are finite on all {rows:,} rows")


def beats_prior(gates: Gates, labels: Floats, predictions: Floats, prior: float) -> tuple[Check, dict[str, Any]]:
    """Demands more than the constant prediction of the train split's positive rate (for AUC: 0.5) achieves."""
    constant = np.full_like(predictions, prior)
    gain = comparison.gain(gates, labels, predictions, constant)
    ours, theirs = (comparison.value(gates.metric, labels, it) for it in (predictions, constant))
    passed = gain.low > gates.min_baseline_gain
    reason = (
        f"{words.title(gates.metric)} {words.number(ours)} against {words.number(theirs)} of always predicting the "
        f"train split's positive rate {prior:.3f} ({_said(gain, gates)}, needed more than {gates.min_baseline_gain:g})"
    )
    account = {"prior": prior, "metric": gates.metric, "challenger": ours, "value": theirs,
               "gain": gain.value, "low": gain.low, "high": gain.high,
               "log_loss": comparison.value("log_loss", labels, constant)}  # fmt: skip
    return Check("baseline", passed, reason), account


def beats_champion(gates: Gates, contest: Contest) -> tuple[Check, dict[str, Any]]:
    """Demands a gain over the champion whose interval lies above `min_gain`."""
    gain = contest.gain(gates)
    ours, theirs = contest.values(gates)
    passed = gain.low > gates.min_gain
    sign = "=" if ours == theirs else ">" if ours > theirs else "<"
    needed = "" if passed else f", its lower end must be above {gates.min_gain:g}"
    reason = (
        f"{words.title(gates.metric)} {words.number(ours)} {sign} {contest.title}'s {words.number(theirs)} on the same "
        f"{len(contest.labels):,} rows ({_said(gain, gates)}{needed})"
    )
    account = {"metric": gates.metric, "challenger": ours, "champion": theirs, "gain": gain.value, "low": gain.low,
               "high": gain.high, "confidence": gates.confidence}  # fmt: skip
    return Check("champion", passed, reason), account


def holds_on_slices(gates: Gates, contest: Contest, columns: pa.Table) -> tuple[Check, list[dict[str, Any]]]:
    """Demands that on no slice with enough rows the champion is better by more than `max_slice_loss`."""
    judged = [
        _on_slice(gates, contest.on(rows), slices.name(key))
        for column in gates.slices
        for key, rows in slices.rows_by_value(columns, column).items()
        if len(rows) >= gates.min_slice_rows and _two_classes(contest.labels[rows])
    ]
    where = f"of {' and '.join(gates.slices)} with at least {gates.min_slice_rows:,} rows"
    if not judged:
        return Check("slices", False, f"there is no slice {where} and both classes: nothing could be judged"), []
    judged.sort(key=lambda item: item["gain"])
    metric, most = words.title(gates.metric), f"at most {gates.max_slice_loss:g} is allowed"
    lost = [item for item in judged if item["gain"] < -gates.max_slice_loss]
    if lost:
        named = [
            f"{item['slice']} {words.number(item['challenger'])} against {words.number(item['champion'])} "
            f"({item['rows']:,} rows, {words.change(item['gain'])})"
            for item in lost
        ]
        return Check(
            "slices", False, f"{metric} falls behind {contest.title}'s on {words.listed(named)}; {most}"
        ), judged
    worst = f"{judged[0]['slice']} {words.change(judged[0]['gain'])}"
    reason = f"{metric} holds against {contest.title} on all {len(judged)} slices {where} (least gain: {worst}; {most})"
    return Check("slices", True, reason.replace("at most", "a loss of at most")), judged


def _on_slice(gates: Gates, contest: Contest, name: str) -> dict[str, Any]:
    gain = contest.gain(gates)
    ours, theirs = contest.values(gates)
    return {"slice": name, "rows": len(contest.labels), "challenger": ours, "champion": theirs,
            "gain": gain.value, "low": gain.low, "high": gain.high}  # fmt: skip


def _two_classes(labels: Floats) -> bool:
    return bool(labels.min() < labels.max())


def _said(gain: Interval, gates: Gates) -> str:
    name = "gain" if gates.metric == "log_loss" else "difference"
    return f"{name} {words.change(gain.value)}, {words.interval(gain, gates.confidence)}"
