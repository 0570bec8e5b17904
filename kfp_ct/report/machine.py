"""The report for programs."""

import dataclasses
from typing import Any

from kfp_ct.base.json_values import jsonable
from kfp_ct.report import cache
from kfp_ct.report.content import Content
from kfp_ct.report.decision import Decision, champion_version


def account(content: Content, decision: Decision) -> dict[str, Any]:
    """Returns the content of report.json.

    Returns:
        run (the record), decision (outcome, headline, consequence, step, details), checks, metrics (challenger,
        champion), comparison, baseline, slices, slice_comparison, curves, training, data (the manifest),
        statistics, anomalies, schema (how a curated one differs from the data), deployment, predictions, monitoring
        and cache (why steps ran); what the run did not get to is empty.
    """
    evaluation = content.evaluation
    said = dataclasses.asdict(decision)
    checks = said.pop("checks")
    return jsonable(
        {
            "run": dataclasses.asdict(content.run),
            "decision": said | {"version": champion_version(content)},
            "checks": checks,
            "metrics": evaluation.get("metrics", {}),
            "comparison": evaluation.get("comparison"),
            "baseline": evaluation.get("baseline"),
            "slices": evaluation.get("slices", []),
            "slice_comparison": evaluation.get("slice_comparison", []),
            "infra": {key: content.infra.get(key) for key in ("measured", "budgets", "mismatches")},
            "curves": evaluation.get("curves", {}),
            "tuning": content.tuning,
            "training": content.training,
            "data": content.manifest,
            "statistics": content.statistics,
            "anomalies": content.anomalies,
            "schema": {key: content.schema.get(key) for key in ("schema_file", "difference")} if content.schema else {},
            "deployment": content.deployment,
            "predictions": content.predictions,
            "monitoring": content.monitoring,
            "cache": cache.machine(content),
        }
    )
