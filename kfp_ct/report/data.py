"""Where the rows came from and how they were split."""

from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/data.html` shows: rows by split, the window, how rows were split, sources."""
    manifest = content.manifest
    if not manifest:
        return {}
    window = manifest.get("window") or {}
    return {
        "manifest": manifest,
        "total": sum(split["rows"] for split in manifest["splits"]) or 1,
        "window": [window.get(end) or "no bound" for end in ("start", "end")],
        "split_by": ", ".join(f"{key} {_plain(value)}" for key, value in manifest["split_by"].items()),
        "rejected_rows": manifest.get("rejected_rows", 0),
    }


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
