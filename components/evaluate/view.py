"""The page of an evaluation."""

from typing import Any

from components import html


def page(account: dict[str, Any]) -> str:
    """Returns the page, drawn from summary.json's content alone."""
    return html.page("Evaluation", f"{account['rows']:,} rows")
