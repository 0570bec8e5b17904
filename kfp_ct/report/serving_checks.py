"""The report's section on the trial of the prediction service: the checks, and what serving costs."""

from kfp_ct.pages.html import Html, badge, number, paragraph, table
from kfp_ct.report.content import Content


def trial(content: Content) -> list[Html]:
    """Shows whether the served model answers as it should, and its cost against the budgets."""
    infra = content.infra
    if not infra:
        return []
    rows = [
        [check["gate"], badge("ok", "yes") if check["passed"] else badge("bad", "no"), check["reason"]]
        for check in infra["checks"]
    ]
    said = f"{infra['rows']:,} rows of the eval split were sent to the prediction service, in batches and one by one."
    return [
        paragraph(said),
        table(["check", "passed", "reason"], rows),
        table(["measure", "unit", "measured", "budget"], [_budget(budget) for budget in infra["budgets"]]),
    ]


def _budget(budget: dict) -> list[object]:
    limit = budget["budget"]
    allowed = "not judged" if limit is None else f"{'≥' if budget['at_least'] else '≤'} {number(limit)}"
    return [budget["title"], budget["unit"], budget["value"], allowed]
