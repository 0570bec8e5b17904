"""The anomalies as a page."""

from typing import Any

from components import html
from components.validate_data import account


def draw(summary: dict[str, Any]) -> str:
    """Draws the page from the content of `summary.json`."""
    anomalies, splits = summary["anomalies"], summary["splits"]
    examined = f"{len(splits)} splits and {summary['features']} features of the schema were examined."
    if anomalies:
        verdict = html.note("bad", f"The data does not fit the schema: the run stops here. {examined}")
    else:
        verdict = html.note("ok", f"No anomalies. {examined}")
    parts = [verdict, html.section("Splits", _splits(splits))] if splits else [verdict]
    if anomalies:
        parts.insert(1, html.section("Anomalies", _anomalies(anomalies)))
    return html.page("Data validation", *parts)


def _splits(splits: list[dict[str, Any]]) -> html.Html:
    headers = ["split", "rows", "features", "anomalies"]
    return html.table(headers, [[split["name"], *(split[key] for key in headers[1:])] for split in splits])


def _anomalies(anomalies: list[dict[str, Any]]) -> html.Html:
    headers = ["feature", "split", "what", "rows", "example"]
    return html.table(headers, [_row(anomaly) for anomaly in anomalies])


def _row(anomaly: dict[str, Any]) -> list[Any]:
    count = anomaly["how_many"]
    said = html.MISSING if count is None else account.rows(count, anomaly["fraction"])
    example = html.code(anomaly["example"]) if anomaly["example"] else None
    return [anomaly["feature"] or "all", anomaly["split"], anomaly["what"], html.escape(said), example]
