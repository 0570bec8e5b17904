"""The gates that TFMA does not have: finite predictions, a trivial baseline, the champion, declared slices."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_ct.components.evaluate import display, estimates, slices
from kfp_ct.components.evaluate.estimates import Interval
from kfp_ct.components.evaluate.samples import Array, Floats, Sample, Scored, class_name, constant
from kfp_ct.components.evaluate.settings import BINARY, MULTICLASS, MULTILABEL, Gates
from kfp_ct.models.blessing import Check


@dataclasses.dataclass(frozen=True)
class PairedPredictions:
    """Two models on the same rows; `title` is what messages call the champion."""

    sample: Sample
    challenger: Floats
    champion: Floats
    title: str

    def on(self, rows: slices.Rows) -> "PairedPredictions":
        """Returns the same pair on some of the rows."""
        return PairedPredictions(self.sample.on(rows), self.challenger[rows], self.champion[rows], self.title)

    def gain(self, gates: Gates) -> Interval:
        """Returns by how much the challenger is better."""
        return estimates.gain(gates, self.sample, self.challenger, self.champion)

    def values(self, gates: Gates) -> tuple[float, float]:
        """Returns the primary metric of challenger and champion."""
        first, second = (estimates.value(gates.metric, self.sample, it) for it in (self.challenger, self.champion))
        return first, second


def finite(title: str, predictions: Floats) -> Check:
    """Refuses predictions that are NaN or infinite: no metric of them means anything."""
    sound = np.isfinite(predictions)
    rows = len(predictions)
    bad = rows - int((sound if sound.ndim == 1 else sound.all(axis=1)).sum())
    if bad:
        return Check("predictions", False, f"{title} gives no finite prediction for {bad:,} of {rows:,} rows")
    return Check("predictions", True, f"{title}'s predictions are finite on all {rows:,} rows")


def beats_constant(gates: Gates, scored: Scored, predictions: Floats, prior: Array) -> tuple[Check, dict[str, Any]]:
    """Demands more than the constant prediction that the train split's labels give achieves.

    That is the positive rate (for AUC: 0.5), the classes' shares (for accuracy: the most frequent class), the mean.
    """
    sample = scored.sample
    trivial = constant(sample.task, prior, len(predictions))
    gain = estimates.gain(gates, sample, predictions, trivial)
    ours, theirs = (estimates.value(gates.metric, sample, it) for it in (predictions, trivial))
    passed = gain.low > gates.min_baseline_gain
    predicts = _constant_prediction(scored, prior, "the eval rows' own" if gates.extractors else "the train split's")
    reason = (
        f"{display.title(gates.metric)} {display.number(ours)} against {display.number(theirs)} of always predicting "
        f"{predicts} ({_gain_text(gain, gates)}, "
        f"needed more than {gates.min_baseline_gain:g})"
    )
    report = {"prior": _prior_as_json(prior), "predicts": predicts, "metric": gates.metric,
               "challenger": ours, "value": theirs, "gain": gain.value, "low": gain.low, "high": gain.high,
               "method": gain.method}  # fmt: skip
    if sample.task in (BINARY, MULTICLASS, MULTILABEL):
        report["log_loss"] = estimates.value("log_loss", sample, trivial)
    return Check("baseline", passed, reason), report


def beats_champion(gates: Gates, paired: PairedPredictions) -> tuple[Check, dict[str, Any]]:
    """Demands a gain over the champion whose interval lies above `min_gain`; says one of three verdicts.

    Where the interval holds `min_gain`, the challenger is not significantly better: `if_not_significant` decides.
    """
    gain = paired.gain(gates)
    ours, theirs = paired.values(gates)
    verdict = "better" if gain.low > gates.min_gain else "worse" if gain.high < min(gates.min_gain, 0.0) else (
        "not_significant")  # fmt: skip
    accepted = verdict == "not_significant" and gates.if_not_significant == "accept" and gain.high >= gates.min_gain
    passed = verdict == "better" or accepted
    sign = "=" if ours == theirs else ">" if ours > theirs else "<"
    reason = (
        f"{display.title(gates.metric)} {display.number(ours)} {sign} {paired.title}'s {display.number(theirs)} "
        f"on the same {len(paired.challenger):,} rows ({_gain_text(gain, gates)}{_needed(gates, verdict, accepted)})"
    )
    if verdict != "better":
        reason = f"{display.VERDICTS[verdict]}: {reason}"
    report = {"metric": gates.metric, "challenger": ours, "champion": theirs, "gain": gain.value, "low": gain.low,
               "high": gain.high, "confidence": gates.confidence, "method": gain.method, "verdict": verdict,
               "accepted": passed}  # fmt: skip
    return Check("champion", passed, reason), report


def _needed(gates: Gates, verdict: str, accepted: bool) -> str:
    if verdict == "better":
        return ""
    needed = f", its lower end must be above {gates.min_gain:g}"
    return ", accepted by gates.if_not_significant" if accepted else needed


def holds_on_slices(gates: Gates, paired: PairedPredictions, columns: pa.Table) -> tuple[Check, list[dict[str, Any]]]:
    """Demands that on no slice with enough rows the champion is better by more than `max_slice_loss`."""
    judged = [
        _on_slice(gates, paired.on(rows), slices.name(key))
        for column in gates.slices
        for key, rows in slices.rows_by_value(columns, column).items()
        if len(rows) >= gates.min_slice_rows and estimates.is_defined(gates, paired.sample.on(rows))
    ]
    where = f"of {' and '.join(gates.slices)} with at least {gates.min_slice_rows:,} rows"
    if not judged:
        both = " and both classes" if paired.sample.task == BINARY else ""
        return Check("slices", False, f"there is no slice {where}{both}: nothing could be judged"), []
    judged.sort(key=lambda item: item["gain"])
    metric, most = display.title(gates.metric), f"at most {gates.max_slice_loss:g} is allowed"
    lost = [item for item in judged if not item["gain"] >= -gates.max_slice_loss]
    if lost:
        named = [
            f"{item['slice']} {display.number(item['challenger'])} against {display.number(item['champion'])} "
            f"({item['rows']:,} rows, {display.change(item['gain'])})"
            for item in lost
        ]
        return Check(
            "slices", False, f"{metric} falls behind {paired.title}'s on {display.listed(named)}; {most}"
        ), judged
    worst = f"{judged[0]['slice']} {display.change(judged[0]['gain'])}"
    reason = f"{metric} holds against {paired.title} on all {len(judged)} slices {where} (least gain: {worst}; {most})"
    return Check("slices", True, reason.replace("at most", "a loss of at most")), judged


def _on_slice(gates: Gates, paired: PairedPredictions, name: str) -> dict[str, Any]:
    gain = paired.gain(gates)
    ours, theirs = paired.values(gates)
    return {"slice": name, "rows": len(paired.challenger), "challenger": ours, "champion": theirs,
            "gain": gain.value, "low": gain.low, "high": gain.high}  # fmt: skip


def _constant_prediction(scored: Scored, prior: Array, whose: str) -> str:
    if scored.sample.task == BINARY:
        return f"{whose} positive rate {prior[0]:.3f}"
    if scored.sample.task == MULTICLASS:
        most = int(prior.argmax())
        return f"{whose} class shares, most often {class_name(scored.classes, most)} {prior[most]:.3f}"
    if scored.sample.task == MULTILABEL:
        most = int(prior.argmax())
        return f"{whose} share of rows of every class, at most {class_name(scored.classes, most)} {prior[most]:.3f}"
    return f"{whose} mean {display.number(float(prior[0]))}"


def _prior_as_json(prior: Array) -> float | list[float]:
    return float(prior[0]) if len(prior) == 1 else prior.tolist()


def _gain_text(gain: Interval, gates: Gates) -> str:
    name = "gain" if gates.metric in estimates.LESS_IS_BETTER else "difference"
    return f"{name} {display.change(gain.value)}, {display.interval(gain, gates.confidence)}"
