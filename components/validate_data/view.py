"""The anomalies as a page."""

from typing import Any

from kfp_ct.components.validate_data import anomaly_report
from kfp_ct.data.drift import JENSEN_SHANNON, L_INFINITY
from kfp_ct.pages import html

_MEASURES = {L_INFINITY: "L-infinity", JENSEN_SHANNON: "Jensen–Shannon"}


def draw(summary: dict[str, Any]) -> str:
    """Draws the page from the content of `summary.json`."""
    anomalies, splits = summary["anomalies"], summary["splits"]
    examined = f"{len(splits)} splits and {summary['features']} features of the schema were examined."
    if anomalies:
        verdict = html.note("bad", f"The data does not fit the schema: the run stops here. {examined}")
    else:
        verdict = html.note("ok", f"No anomalies. {examined}")
    parts = [verdict]
    if anomalies:
        parts.append(html.section("Anomalies", _anomalies(anomalies)))
    else:
        parts += [_drift(summary), _skew(summary)]
    if splits:
        parts.append(html.section("Splits", _splits(splits)))
    return html.page("Data validation", *parts)


def _splits(splits: list[dict[str, Any]]) -> html.Html:
    headers = ["split", "rows", "features", "anomalies"]
    return html.table(headers, [[split["name"], *(split[key] for key in headers[1:])] for split in splits])


def _anomalies(anomalies: list[dict[str, Any]]) -> html.Html:
    headers = ["feature", "split", "what", "rows", "example"]
    return html.table(headers, [_row(anomaly) for anomaly in anomalies])


def _row(anomaly: dict[str, Any]) -> list[Any]:
    count = anomaly["how_many"]
    said = html.MISSING if count is None else anomaly_report.rows(count, anomaly["fraction"])
    example = html.code(anomaly["example"]) if anomaly["example"] else None
    return [anomaly["feature"] or "all", anomaly["split"], anomaly["what"], html.escape(said), example]


def _drift(summary: dict[str, Any]) -> html.Html:
    drifted, of = summary["drifted_features"], summary["drift"]
    if not of["distances"]:
        said = html.note("info", f"Drift: {_said(of)}.")
    elif drifted:
        said = html.note("warn", f"Drifted: {', '.join(drifted)}. It is a reason to retrain, not to stop.")
    else:
        said = html.note("ok", f"No drift in {len(of['distances'])} compared features.")
    return html.section("Drift", said, *_distances(of))


def _skew(summary: dict[str, Any]) -> html.Html:
    if not any(of["distances"] or of["not_compared"] for of in summary["skew"]):
        return html.section("Skew between splits", html.paragraph("No feature has a skew_comparator in the schema."))
    return html.section("Skew between splits", *(part for of in summary["skew"] for part in _distances(of)))


def _said(of: dict[str, Any]) -> str:
    return of["of"] if of["of"].startswith("not measured") else "no feature has a drift_comparator in the schema"


def _distances(of: dict[str, Any]) -> list[html.Html]:
    """The features, the farthest beyond its threshold first."""
    if not of["distances"]:
        return []
    ordered = sorted(of["distances"], key=lambda row: row["threshold"] - row["value"])
    rows = [
        [row["feature"], _verdict(row), f"{row['value']:.3f}", f"{row['threshold']:g}", _MEASURES[row["measure"]]]
        for row in ordered
    ]
    missing = ", ".join(of["not_compared"])
    left_out = [html.paragraph(f"Not compared, for want of the column on both sides: {missing}.")] if missing else []
    heading = html.paragraph(f"{of['of'][0].upper()}{of['of'][1:]}.")
    return [heading, html.table(["feature", "verdict", "distance", "threshold", "measure"], rows), *left_out]


def _verdict(row: dict[str, Any]) -> html.Html:
    return html.badge("warn", "moved") if row["exceeded"] else html.badge("ok", "within")
