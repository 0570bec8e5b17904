"""The EvalConfig that the model was judged by, as it was written, or as a function returned it."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/evaluation_config.html` shows; empty if nothing was evaluated."""
    return dict(content.evaluation.get("eval_config") or {})
