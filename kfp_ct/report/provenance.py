"""Where everything comes from, so that the run can be repeated: code, image, versions, who, why, when, data."""

import json
from typing import Any

from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/provenance.html` shows."""
    return {
        "run": content.run,
        "fingerprint": content.manifest["fingerprint"] if content.manifest else "",
        "evaluated": content.task("evaluate") is not None,
        "champion": content.evaluation.get("compared_with"),
        "parameters": {name: _written(value) for name, value in content.run.parameters.items()},
    }


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
