"""The page of an evaluation, drawn from summary.json's content alone."""

import dataclasses
from typing import Any

from components import charts, html
from components.evaluate import words

_COUNT = "example_count"
# What the gates' metrics are called in TFMA's results.
_NAMES = {"log_loss": "binary_crossentropy", "accuracy": "binary_accuracy"}


def page(account: dict[str, Any]) -> str:
    """Returns the page: the verdict with its reasons, metrics, the comparison, slices and curves."""
    roles = _roles(account)
    parts = [_verdict(account)]
    if any(account["metrics"].values()):
        parts.append(html.section("Metrics on all rows", _metrics(account, roles)))
    if account["comparison"]:
        parts.append(html.section("Gain over the champion", _gains(account)))
    if account["slices"]:
        parts.append(html.section("Slices", _slices(account, roles)))
    if account["curves"]:
        parts.append(html.section("Curves", *_curves(account["curves"], roles)))
    share = html.percent(account["positive_rate"])
    said = f"{account['rows']:,} eval rows, {account['label']} is 1 in {share} of them"
    return html.page("Evaluation", *parts, subtitle=said)


def _roles(account: dict[str, Any]) -> dict[str, str]:
    version = account["compared_with"]
    if not version:
        return {"challenger": "challenger"}
    return {"challenger": "challenger", "champion": "champion" if version == "champion" else f"champion v{version}"}


def _verdict(account: dict[str, Any]) -> html.Html:
    refusals = sum(not check["passed"] for check in account["checks"])
    rows = [
        [check["gate"], html.badge(*(("ok", "passed") if check["passed"] else ("bad", "refused"))), check["reason"]]
        for check in account["checks"]
    ]
    reasons = html.table(["gate", "verdict", "reason"], rows)
    if account["blessed"]:
        return html.note("ok", f"The model is blessed: it passed all {len(rows)} checks.", reasons)
    return html.note("bad", f"The model is refused by {refusals} of {len(rows)} checks.", reasons)


def _metrics(account: dict[str, Any], roles: dict[str, str]) -> html.Html:
    values = account["metrics"]
    rows = [[words.title(name), *(values[role].get(name) for role in roles)] for name in values["challenger"]]
    return html.table(["metric", *roles.values()], rows)


def _gains(account: dict[str, Any]) -> html.Html:
    compared = account["comparison"]
    named = [("all rows", compared), *((item["slice"], item) for item in account["slice_comparison"])]
    drawn = [
        charts.Interval(name, item["low"], item["gain"], item["high"])
        for name, item in named
        if None not in (item["low"], item["gain"], item["high"])  # too few rows to know a variance
    ]
    label = f"gain in {words.title(compared['metric'])}, {100 * compared['confidence']:g} % intervals, same rows"
    return charts.intervals(drawn, label)


def _slices(account: dict[str, Any], roles: dict[str, str]) -> html.Html:
    """Every metric of the challenger is too wide a table: the primary one of both models, worst gain first."""
    names = [name for name in account["slices"][0]["challenger"] if name != _COUNT]
    wanted = _NAMES.get(account["gates"]["metric"], account["gates"]["metric"])
    primary = wanted if wanted in names else next(iter(names), _COUNT)
    rows = [
        [item["slice"], item["rows"], *(item[role].get(primary) for role in roles)]
        + [item["challenger"].get(name) for name in names if name != primary]
        for item in account["slices"]
    ]
    others = [words.title(name) for name in names if name != primary]
    return html.table(["slice", "rows", *(f"{words.title(primary)}, {said}" for said in roles.values()), *others], rows)


def _curves(curves: dict[str, Any], roles: dict[str, str]) -> list[html.Html]:
    drawn = {said: curves[role] for role, said in roles.items() if role in curves}
    roc = {said: _points(of["roc"], "fpr", "tpr") for said, of in drawn.items()}
    recall = {said: _points(of["pr"], "recall", "precision") for said, of in drawn.items()}
    calibration = {
        said: [(b["prediction"], b["positive_rate"]) for b in of["calibration"]] for said, of in drawn.items()
    }
    most = max(value for points in calibration.values() for point in points for value in point)
    unit = dataclasses.replace(charts.UNIT_SQUARE, title="ROC")
    plain = dataclasses.replace(charts.UNIT_SQUARE, title="Precision and recall", diagonal=False)
    limits = (0.0, most)
    square = dataclasses.replace(unit, title="Calibration", x_limits=limits, y_limits=limits, markers=True)
    return [
        html.columns(
            charts.lines(roc, "false positive rate", "true positive rate", unit),
            charts.lines(recall, "recall", "precision", plain),
            charts.lines(calibration, "mean prediction", "share of positives", square),
            html.table(
                ["at 0.5", "true positive", "false positive", "false negative", "true negative"],
                [[said, *(of["confusion"][kind] for kind in ("tp", "fp", "fn", "tn"))] for said, of in drawn.items()],
            ),
        )
    ]


def _points(of: dict[str, list[float]], x: str, y: str) -> list[tuple[float, float]]:
    return list(zip(of[x], of[y], strict=True))
