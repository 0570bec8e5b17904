"""The page of an evaluation, drawn from summary.json's content alone."""

from typing import Any

from kfp_ct.components.evaluate import display, view_curves
from kfp_ct.pages import charts, html

_COUNT = "example_count"
# What the gates' metrics are called in TFMA's results.
_NAMES = {
    "log_loss": ("binary_crossentropy", "sparse_categorical_crossentropy"),
    "accuracy": ("binary_accuracy", "sparse_categorical_accuracy"),
    "rmse": ("root_mean_squared_error",),
    "mse": ("mean_squared_error",),
    "mae": ("mean_absolute_error",),
    "macro_auc": ("auc_macro_average",),
}


def page(account: dict[str, Any]) -> str:
    """Returns the page: the verdict with its reasons, metrics, the comparison, slices and curves."""
    roles = _roles(account)
    parts = [_verdict(account)]
    if any(account["metrics"].values()):
        parts.append(html.section("Metrics on all rows", _metrics(account, roles)))
    if account["comparison"]:
        parts.append(html.section("Gain over the champion", _said_of_gain(account), _gains(account)))
    if account["slices"]:
        parts.append(html.section("Slices", _slices(account, roles)))
    if account["slice_gaps"]:
        parts.append(html.section("Gaps between slices", _gaps(account)))
    if account["curves"]:
        parts.append(html.section("Predictions", *view_curves.draw(account, roles)))
    return html.page("Evaluation", *parts, subtitle=_subtitle(account))


def _subtitle(account: dict[str, Any]) -> str:
    rows, label = f"{account['rows']:,} eval rows", account["label"]
    weighed = f"; weighted by {account['weight']}" if account["weight"] else ""
    if account["task"] == "binary":
        positive = account["classes"][1] if account["classes"] else "1"
        return f"{rows}, {label} is {positive} in {html.percent(account['positive_rate'])} of them{weighed}"
    if account["task"] == "multiclass":
        return f"{rows}, classes of {label}{weighed}"
    return f"{rows}, regression of {label}{weighed}"


def _roles(account: dict[str, Any]) -> dict[str, str]:
    version = account["compared_with"]
    if not version:
        return {"challenger": "challenger"}
    return {"challenger": "challenger", "champion": "champion" if version == "champion" else f"champion v{version}"}


def _verdict(account: dict[str, Any]) -> html.Html:
    refused = [check for check in account["checks"] if not check["passed"]]
    rows = [
        [check["gate"], html.badge(*(("ok", "passed") if check["passed"] else ("bad", "refused"))), check["reason"]]
        for check in account["checks"]
    ]
    reasons = html.table(["gate", "verdict", "reason"], rows)
    if account["blessed"]:
        return html.note("ok", f"The model is blessed: it passed all {len(rows)} checks.", reasons)
    if display.only_not_significant(account):
        champion = _roles(account)["champion"]
        said = f"The model is not significantly better than {champion}: the champion stays. All other checks passed."
        return html.note("warn", said, reasons)
    return html.note("bad", f"The model is refused by {len(refused)} of {len(rows)} checks.", reasons)


def _metrics(account: dict[str, Any], roles: dict[str, str]) -> html.Html:
    values, ends = account["metrics"], account["intervals"]
    rows = [
        [
            display.title(name),
            *(_with_interval(values[role].get(name), ends.get(role, {}).get(name)) for role in roles),
        ]
        for name in values["challenger"]
    ]
    said = "with TFMA's confidence intervals" if ends else ""
    return html.table(["metric", *roles.values()], rows, caption=said)


def _with_interval(value: Any, ends: list[float] | None) -> Any:
    if not ends or None in ends:
        return value
    return html.join([html.number(value), html.muted(f" {html.number(ends[0])} to {html.number(ends[1])}")])


def _said_of_gain(account: dict[str, Any]) -> html.Html:
    compared = account["comparison"]
    kinds = {"better": "ok", "not_significant": "warn", "worse": "bad"}
    verdict = compared["verdict"]
    badge = html.badge(kinds[verdict], display.VERDICTS[verdict])  # type: ignore[arg-type]
    return html.paragraph(badge, f" on all rows. Intervals: {compared['method']}.")


def _gains(account: dict[str, Any]) -> html.Html:
    compared = account["comparison"]
    named = [("all rows", compared), *((item["slice"], item) for item in account["slice_comparison"])]
    drawn = [
        charts.Interval(name, item["low"], item["gain"], item["high"])
        for name, item in named
        if None not in (item["low"], item["gain"], item["high"])  # too few rows to know a variance
    ]
    label = f"gain in {display.title(compared['metric'])}, {100 * compared['confidence']:g} % intervals, same rows"
    return charts.intervals(drawn, label)


def _gaps(account: dict[str, Any]) -> html.Html:
    rows = [
        [gap["column"], gap["slices"], *(_end(gap.get(end)) for end in ("low", "high")), gap["gap"], gap["allowed"]]
        for gap in account["slice_gaps"]
    ]
    metric = display.title(account["gates"]["metric"])
    headers = ["column", "slices judged", f"least {metric}", f"greatest {metric}", "gap", "allowed"]
    return html.table(headers, rows)


def _end(of: dict[str, Any] | None) -> str:
    return f"{of['slice']}: {display.number(of['value'])} ({of['rows']:,} rows)" if of else html.MISSING


def _slices(account: dict[str, Any], roles: dict[str, str]) -> html.Html:
    """Every metric of the challenger is too wide a table: the primary one of both models, then the others."""
    names = [name for name in account["slices"][0]["challenger"] if name != _COUNT]
    metric = account["gates"]["metric"]
    wanted = [name for name in (metric, *_NAMES.get(metric, ())) if name in names]
    primary = wanted[0] if wanted else next(iter(names), _COUNT)
    rows = [
        [item["slice"], item["rows"], *(item[role].get(primary) for role in roles)]
        + [item["challenger"].get(name) for name in names if name != primary]
        for item in account["slices"]
    ]
    others = [display.title(name) for name in names if name != primary]
    return html.table(
        ["slice", "rows", *(f"{display.title(primary)}, {said}" for said in roles.values()), *others], rows
    )
