"""One line a period of a version, in JSON Lines: what a trigger reads, and the page's time series."""

import contextlib
import json
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.data import layouts

_KEY = ("model", "version", "start", "end")


def entry(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the line of a report."""
    quality, traffic = report["quality"], report["traffic"]
    exceeded = {kind: [item["feature"] for item in report[kind] if item["exceeded"]] for kind in ("skew", "drift")}
    return {
        "model": report["model"], "version": report["version"], **report["window"],
        "state": report["state"], "retrain": report["retrain"],
        "reasons": [reason["kind"] for reason in report["reasons"]],
        "alarms": [alarm["kind"] for alarm in report["alarms"]],
        "rows": traffic["rows"], "requests": traffic["requests"], "p50_ms": traffic["p50_ms"],
        "p99_ms": traffic["p99_ms"], "skewed": exceeded["skew"], "drifted": exceeded["drift"],
        "metric": quality["metric"], "labelled": quality["labelled"], "value": quality.get("value"),
        "low": quality.get("low"), "high": quality.get("high"), "baseline": quality["baseline"],
    }  # fmt: skip


def read(path: str | Path) -> list[dict[str, Any]]:
    """Returns the lines; what is not JSON is left out."""
    lines = []
    if Path(path).is_file():
        for text in Path(path).read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                lines.append(json.loads(text))
    return lines


def upsert(path: str | Path, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Adds a line, or replaces the one of the same version and period; returns the model's lines in order of time.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    path = Path(path)
    with (
        atomic_files.writing_to("the monitoring history", path),
        atomic_files.locked(path.with_name(f".{path.name}.lock")),
    ):
        others = [each for each in read(path) if _key(each) != _key(entry)]
        lines = sorted([*others, entry], key=_order)
        layouts.write_text(path, "".join(f"{json.dumps(each, allow_nan=False)}\n" for each in lines))
    return [each for each in lines if each.get("model") == entry["model"]]


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in _KEY)


def _order(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(name, "")) for name in ("end", "start", "model", "version"))
