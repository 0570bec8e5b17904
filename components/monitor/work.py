"""Compares a period of the champion's traffic with its training data, the period before and the baseline metric."""

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_ct.base import setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.clock import windows
from kfp_ct.components.monitor import champion as champions
from kfp_ct.components.monitor import decision, distances, history, labels, quality, remote_log, request_log, view
from kfp_ct.components.monitor.champion import Champion
from kfp_ct.components.monitor.request_log import Period, Traffic
from kfp_ct.components.monitor.settings import FAIL, Parameters, Rules
from kfp_ct.data import layouts

# A period that is not given ends now and is so long.
_USUAL_PERIOD = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class MonitoringRequest:
    """Whose traffic is examined, of what period, against what."""

    model_path: str
    model_metadata: dict[str, Any]  # version and registered
    model_name: str
    log_root: str
    window: tuple[str, str]  # start and end, ISO 8601; empty as the component says
    labels: str
    history: str
    rules: dict[str, Any]
    log: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that its settings.py describes."""
        start, end = self.window
        return {"model_name": self.model_name, "request_log": self.log_root, "window_start": start, "window_end": end,
                "rules": self.rules, "log": self.log}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Folder of summary.json, and the page."""

    report_path: str
    view_path: str


def monitor(request: MonitoringRequest, outputs: Outputs, now: datetime.datetime | None = None) -> dict[str, Any]:
    """Writes summary.json and the page, and adds a line to the history.

    Returns:
        The report: the content of summary.json.

    Raises:
        ComponentError: A setting does not fit, or the champion, the log or the labels cannot be read.
        DataError: No row was logged, and the rules say that this is an error; everything is written before.
    """
    asked = setting_problems.read(Parameters, request.settings, "")
    rules = asked.rules
    period = _period(request.window, now or datetime.datetime.now(datetime.UTC))
    champion = champions.read(request.model_path, request.model_metadata)
    moments = [period.before.start, period.start, period.end]
    with remote_log.local(request.log_root, asked.log, request.model_name, moments) as log_root:
        report = _examine(dataclasses.replace(request, log_root=log_root), rules, period, champion)
    report |= decision.decide(report, rules)
    past = history.upsert(request.history, history.entry(report)) if request.history else [history.entry(report)]
    layouts.write_json(Path(outputs.report_path) / layouts.SUMMARY, report)
    layouts.write_text(outputs.view_path, view.draw(report, past))
    task_log.summary(decision.summary_line(report))
    if report["state"] == decision.NO_TRAFFIC and rules.no_traffic == FAIL:
        raise DataError(
            f"nothing examined: {report['alarms'][0]['text']}\n"
            f"expected: requests to {request.model_name} v{champion.version} from {period.start.isoformat()} to "
            f"{period.end.isoformat()} in {request.log_root}\n"
            "fix: see that the service runs with --request-log, or that the endpoint logs to that table; "
            "rules.no_traffic: report only says so"
        )
    return report


def _examine(request: MonitoringRequest, rules: Rules, period: Period, champion: Champion) -> dict[str, Any]:
    limits = (rules.max_rows, rules.signature)
    found = {
        version: request_log.read(request.log_root, request.model_name, version, period, limits)
        for version in request_log.versions(request.log_root, request.model_name)
    }
    nothing = request_log.read(request.log_root, request.model_name, champion.version, period, limits)
    traffic = found.get(champion.version, nothing)
    before = request_log.read(request.log_root, request.model_name, champion.version, period.before, limits)
    task_log.progress(f"{traffic.logged:,} rows of v{champion.version}, {before.logged:,} in the period before")
    joined = labels.join(traffic.rows, request.labels)
    examined = len(traffic.rows)
    return {
        "model": request.model_name,
        "version": champion.version,
        "window": period.to_json(),
        "traffic": _traffic(traffic),
        "versions": {version: _counts(each) for version, each in found.items()},
        "unreadable": traffic.unreadable,
        **({"log": request.log} if request.log else {}),
        **_compare(champion, traffic, before, rules),
        "quality": quality.judge(quality.baseline_metric(champion.evaluation), joined.rows, rules),
        "labels": {
            "given": bool(request.labels),
            "read": joined.labels,
            "conflicting": joined.conflicting,
            "null_marks": joined.null_marks,
            "coverage": len(joined.rows) / examined if examined else None,
        },
        "staleness": decision.staleness(champion, period.end, rules),
        "rules": rules.model_dump(mode="json"),
    }


def _compare(champion: Champion, traffic: Traffic, before: Traffic, rules: Rules) -> dict[str, Any]:
    """Returns `skew`, `drift` and `predictions`, furthest first; empty where there are too few rows to tell."""
    empty: dict[str, Any] = {"skew": [], "drift": [], "predictions": [], "rows_before": len(before.rows)}
    if len(traffic.rows) < rules.min_rows:
        return empty
    served = request_log.columns(traffic.rows, "inputs")
    skew = distances.compare(champion.schema, served, champion.statistics, "skew", rules)
    report = empty | {"skew": [item.to_json() for item in skew]}
    if len(before.rows) < rules.min_rows:
        return report
    drift = distances.compare(champion.schema, served, request_log.columns(before.rows, "inputs"), "drift", rules)
    outputs = [request_log.columns(each.rows, "outputs") for each in (traffic, before)]
    predictions = distances.compare_predictions(outputs[0], outputs[1], rules)
    return report | {
        "drift": [item.to_json() for item in drift],
        "predictions": [item.to_json() for item in predictions],
    }


def _traffic(traffic: Traffic) -> dict[str, Any]:
    rows = traffic.rows
    latency = np.asarray(rows["latency_ms"].drop_null().to_numpy() if len(rows) else [], np.float64)
    if traffic.latencies:
        latency = np.repeat(*(np.asarray(each) for each in zip(*traffic.latencies, strict=True)))
    p50, p99 = (float(np.quantile(latency, q)) if len(latency) else None for q in (0.5, 0.99))
    return {
        **_counts(traffic),
        "examined": len(traffic.rows),
        "unknown": list(traffic.unknown),
        "p50_ms": p50,
        "p99_ms": p99,
        "latencies": [] if p99 is None else _histogram(np.minimum(latency, p99)),
        "means": _means(traffic.rows),
    }


def _histogram(values: npt.NDArray[np.floating]) -> list[dict[str, float]]:
    counts, edges = np.histogram(values, bins=24)
    found = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    return [{"low": low, "high": high, "count": count} for low, high, count in found]


def _counts(traffic: Traffic) -> dict[str, int]:
    errors = sum(number for name, number in traffic.counts.items() if name.startswith("error_"))
    kept = {name: traffic.counts[name] for name in request_log.COUNTS}
    return {"rows": traffic.logged, **kept, "errors": errors}


def _means(rows: pa.Table) -> dict[str, float]:
    """Returns the mean of every numeric output."""
    outputs = request_log.columns(rows, "outputs")
    return {
        name: float(np.nanmean(outputs[name].to_numpy()))
        for name in outputs.column_names
        if pa.types.is_floating(outputs[name].type) and outputs[name].null_count < len(outputs)
    }


def _period(window: tuple[str, str], now: datetime.datetime) -> Period:
    start, end = windows.bounds(*window, now)
    minute = now.replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    last = end.replace(tzinfo=datetime.UTC) if end else minute
    first = start.replace(tzinfo=datetime.UTC) if start else last - _USUAL_PERIOD
    if first >= last:
        raise ConfigurationError(f"the period from {first.isoformat()} to {last.isoformat()} has no length")
    return Period(first, last)
