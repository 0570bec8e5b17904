"""Whether the served model answers as it should, and what serving costs."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/serving_checks.html` shows: the checks, and the costs against their budgets."""
    return {"infra": content.infra} if content.infra else {}
