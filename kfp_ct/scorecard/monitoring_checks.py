"""Section "monitoring": tests for what runs in production."""

from collections.abc import Mapping
from typing import Any

from kfp_ct.scorecard.checks import HALF, WHOLE, Check, Finding, first
from kfp_ct.scorecard.evidence import Evidence


def dependencies(found: Evidence) -> Finding:
    """Dependency changes result in notification."""
    scanned = "scan" in found.build.split()
    return first(
        (
            found.locked and scanned and found.notified,
            WHOLE,
            "environments are locked by hash, each build scans them, people are told",
        ),
        (
            found.locked,
            HALF,
            f"environments are locked by hash{', each build scans them' * scanned}; nobody is told of a change",
        ),
        otherwise="environments are not locked",
        raises="lock requirements with hashes, scan images in cloudbuild.yaml, and write notices.yaml",
    )


def invariants(found: Evidence) -> Finding:
    """Data invariants hold for inputs."""
    served = any(_traffic(each) for each in found.monitored)
    trained = found.succeeded("validate_data")
    return first(
        (
            trained and served,
            WHOLE,
            "validate_data holds training rows to the schema, monitoring holds served ones to them",
        ),
        (trained, HALF, "validate_data holds training rows to the schema; no served row was looked at yet"),
        otherwise="no run has held rows to a schema",
        raises="serve with --request-log, and run the monitoring pipeline",
    )


def skew(found: Evidence) -> Finding:
    """Training and serving are not skewed."""
    compared = [each for each in found.monitored if each.get("skew")]
    return first(
        (bool(compared), WHOLE, f"monitoring compared served with training rows in {len(compared)} runs"),
        otherwise="served rows have not been compared with training rows",
        raises="serve with --request-log, and run the monitoring pipeline",
    )


def stale(found: Evidence) -> Finding:
    """Models are not too stale."""
    scheduled = found.policy is not None and any(each.kind == "schedule" for each in found.policy.triggers)
    age = (found.rules or {}).get("max_age_days")
    return first(
        (bool(age) and any(each.get("staleness") for each in found.monitored), WHOLE,
         f"monitoring asks for retraining after {age} days"),
        (scheduled or bool(age), HALF, "a schedule retrains, or a rule bounds the age; no monitoring run looked at it"),
        otherwise="neither a schedule nor a rule bounds a model's age",
        raises="set rules.max_age_days of monitoring, and run the monitoring pipeline",
    )  # fmt: skip


def stable(found: Evidence) -> Finding:
    """Models are numerically stable."""
    tested = found.tests is not None and found.tests.all_passed("finite")
    judged = bool(found.evaluation.get("checks"))
    return first(
        (tested and judged, WHOLE, "tests of extreme values passed; evaluate refuses answers that are not finite"),
        (
            judged,
            HALF,
            "evaluate refuses answers that are not finite; no test of extreme values is known to have passed",
        ),
        otherwise="nothing looks for values that are not finite",
        raises="ct scorecard PROJECT --run-tests, after ct run PROJECT",
    )


def performance(found: Evidence) -> Finding:
    """Computing performance has not regressed."""
    budget = bool((found.parameters.get("infra") or {}).get("p99_ms")) and bool(found.trained and found.trained.infra)
    live = bool((found.rules or {}).get("max_p99_ms")) and any(_traffic(each) for each in found.monitored)
    return first(
        (budget and live, WHOLE, "validate_infra holds each model to a latency, monitoring the served one"),
        (budget or live, HALF, "a latency bounds new models" if budget else "a latency bounds the served model"),
        otherwise="no latency is bounded where it was measured",
        raises="set infra.p99_ms of training and rules.max_p99_ms of monitoring, and run both pipelines",
    )


def quality(found: Evidence) -> Finding:
    """Prediction quality has not regressed on served data."""
    judged = [each for each in found.monitored if (each.get("quality") or {}).get("value") is not None]
    acts = found.policy is not None and any(each.kind == "performance" for each in found.policy.triggers)
    return first(
        (bool(judged) and acts, WHOLE, f"monitoring measured quality in {len(judged)} runs; a trigger answers a loss"),
        (bool(judged), HALF, f"monitoring measured quality in {len(judged)} runs; no trigger answers a loss"),
        otherwise="quality on served rows has not been measured",
        raises="give labels to the monitoring pipeline, run it, and name a trigger of the kind performance",
    )


def _traffic(report: Mapping[str, Any]) -> bool:
    return bool((report.get("traffic") or {}).get("rows"))


CHECKS = (
    Check("Dependency changes result in notification", dependencies),
    Check("Data invariants hold for inputs", invariants),
    Check("Training and serving are not skewed", skew),
    Check("Models are not too stale", stale),
    Check("Models are numerically stable", stable),
    Check("Computing performance has not regressed", performance),
    Check("Prediction quality has not regressed on served data", quality),
)
