"""The page of an evaluation, drawn from summary.json's content alone."""

from typing import Any

from markupsafe import Markup

from kfp_ct.components.evaluate import display, view_curves
from kfp_ct.pages.charts import Interval, IntervalChart, intervals
from kfp_ct.pages.formats import level
from kfp_ct.pages.markup import Kind, render

_COUNT = "example_count"
# What the gates' metrics are called in TFMA's results.
_NAMES = {
    "log_loss": ("binary_crossentropy", "sparse_categorical_crossentropy"),
    "accuracy": ("binary_accuracy", "sparse_categorical_accuracy"),
    "rmse": ("root_mean_squared_error",),
    "mse": ("mean_squared_error",),
    "mae": ("mean_absolute_error",),
    "macro_auc": ("auc_macro_average",),
    "micro_auc": ("auc_micro_average", "auc"),
    "macro_f1": ("f1_score_macro_average",),
    "micro_f1": ("f1_score_micro_average", "f1_score"),
}
_KINDS: dict[str, Kind] = {"better": "ok", "not_significant": "warn", "worse": "bad"}
Account = dict[str, Any]  # the content of summary.json
Roles = dict[str, str]  # role → what it is called


def draw(account: Account) -> Markup:
    """Draws the page: the verdict with its reasons, metrics, the comparison, slices and curves."""
    roles = _roles(account)
    return render(
        "components/evaluate/page.html",
        account=account,
        roles=roles,
        positive=account["classes"][1] if account["classes"] else "1",
        refused=[check for check in account["checks"] if not check["passed"]],
        only_not_significant=display.is_only_not_significant(account),
        metrics=_metrics(account, roles),
        metric=display.title(account["gates"]["metric"]),
        gains=_gains(account) if account["comparison"] else None,
        slices=_slices(account, roles) if account["slices"] else None,
        curves=view_curves.describe(account, roles) if account["curves"] else None,
    )


def _roles(account: Account) -> Roles:
    version = account["compared_with"]
    if not version:
        return {"challenger": "challenger"}
    return {"challenger": "challenger", "champion": "champion" if version == "champion" else f"champion v{version}"}


def _metrics(account: Account, roles: Roles) -> list[dict[str, Any]]:
    """Every metric of the challenger with its value and the ends of its interval, by role; empty if there is none."""
    values, ends = account["metrics"], account["intervals"]
    if not any(values.values()):
        return []
    return [
        {
            "title": display.title(name),
            "roles": [(values[role].get(name), _known(ends.get(role, {}).get(name))) for role in roles],
        }
        for name in values["challenger"]
    ]


def _known(ends: list[float] | None) -> list[float] | None:
    return ends if ends and None not in ends else None


def _gains(account: Account) -> dict[str, Any]:
    compared = account["comparison"]
    verdict = compared["verdict"]
    return {
        "kind": _KINDS[verdict],
        "verdict": display.VERDICTS[verdict],
        "method": compared["method"],
        "chart": _gain_chart(compared, account["slice_comparison"]),
    }


def _gain_chart(compared: dict[str, Any], by_slice: list[dict[str, Any]]) -> IntervalChart:
    named = [("all rows", compared), *((item["slice"], item) for item in by_slice)]
    known = [
        Interval(name, item["low"], item["gain"], item["high"])
        for name, item in named
        if None not in (item["low"], item["gain"], item["high"])  # too few rows to know a variance
    ]
    label = f"gain in {display.title(compared['metric'])}, {level(compared['confidence'])} intervals, same rows"
    return intervals(known, label)


def _slices(account: Account, roles: Roles) -> dict[str, Any]:
    """Every metric of both models is too wide a table: the primary one of both, then the challenger's others."""
    names = [name for name in account["slices"][0]["challenger"] if name != _COUNT]
    metric = account["gates"]["metric"]
    wanted = [name for name in (metric, *_NAMES.get(metric, ())) if name in names]
    primary = wanted[0] if wanted else next(iter(names), _COUNT)
    others = [name for name in names if name != primary]
    compared = [f"{display.title(primary)}, {called}" for called in roles.values()]
    rows = [
        (
            item["slice"],
            item["rows"],
            [item[role].get(primary) for role in roles] + [item["challenger"].get(name) for name in others],
        )
        for item in account["slices"]
    ]
    return {"titles": [*compared, *map(display.title, others)], "rows": rows}
