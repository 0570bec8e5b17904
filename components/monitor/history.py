"""One line a period of a version, in JSON Lines: what a trigger reads, and the page's time series."""

import contextlib
import json
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError
from kfp_ct.storage import storage

# So often another writer may be faster.
_TRIES = 20
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
    content = storage.read(str(path))
    return _lines(content.data) if content else []


def upsert(path: str | Path, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Adds a line, or replaces the one of the same version and period; returns the model's lines in order of time.

    The file is replaced only if it is still what was read, so that of two writers none loses its line.

    Raises:
        ConfigurationError: The file cannot be written.
        ComponentError: Others write it all the time.
    """
    for _ in range(_TRIES):
        content = storage.read(str(path))
        before = _lines(content.data) if content else []
        lines = sorted([*(each for each in before if _key(each) != _key(entry)), entry], key=_order)
        data = "".join(f"{json.dumps(each, allow_nan=False)}\n" for each in lines).encode()
        if storage.replace(str(path), data, content.version) if content else storage.create(str(path), data):
            return [each for each in lines if each.get("model") == entry["model"]]
    raise ComponentError(
        f"the monitoring history {path} is written by others all the time\n"
        "expected: a few monitoring runs at a time\nfix: run again"
    )


def _lines(data: bytes) -> list[dict[str, Any]]:
    lines = []
    for text in data.decode().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in _KEY)


def _order(entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(name, "")) for name in ("end", "start", "model", "version"))
