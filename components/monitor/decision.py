"""From what was measured to a decision with reasons."""

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

from kfp_ct.components.monitor import settings as kinds
from kfp_ct.components.monitor.settings import MISSING, Rules

if TYPE_CHECKING:  # reports draw the page where there is no TensorFlow
    from kfp_ct.components.monitor.champion import Champion

OK, RETRAIN, ATTENTION, NO_TRAFFIC, TOO_FEW_ROWS = "OK", "RETRAIN", "ATTENTION", "NO_TRAFFIC", "TOO_FEW_ROWS"
_SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: what kind, and one sentence with numbers."""

    kind: str
    text: str


def decide(report: dict[str, Any], rules: Rules) -> dict[str, Any]:
    """Returns `state`, `retrain`, `reasons` (for retraining) and `alarms` (for people)."""
    found = [*_distances(report, rules), *_quality(report), *_staleness(report)]
    reasons = [finding for finding in found if finding.kind in rules.retrain_on]
    alarms = [finding for finding in found if finding.kind not in rules.retrain_on]
    nothing = _too_little_traffic(report, rules)
    alarms = nothing + alarms + _operational_alarms(report, rules)
    state = nothing[0].kind if nothing else RETRAIN if reasons else ATTENTION if alarms else OK
    lists = {name: [dataclasses.asdict(finding) for finding in each] for name, each in
            (("reasons", reasons), ("alarms", alarms))}  # fmt: skip
    return {"state": state if not reasons or state == NO_TRAFFIC else RETRAIN, "retrain": bool(reasons), **lists}


def staleness(champion: "Champion", now: datetime.datetime, rules: Rules) -> dict[str, Any]:
    """Returns how old the champion's data (at the period's end) and its registration (today) are, in days.

    None where the window was open, or the registration is not known.
    """
    return {
        "trained_from": champion.manifest.window.get("start", ""),
        "trained_until": champion.trained_until,
        "age_days": _days(champion.trained_until, now),
        "registered": champion.registered,
        "registered_days": _days(champion.registered, datetime.datetime.now(datetime.UTC)),
        "max_age_days": rules.max_age_days,
    }


def _days(since: str, now: datetime.datetime) -> float | None:
    if not since:
        return None
    start = datetime.datetime.fromisoformat(since)
    return (now - (start if start.tzinfo else start.replace(tzinfo=datetime.UTC))) / datetime.timedelta(days=1)


def summary_line(report: dict[str, Any]) -> str:
    """Returns the decision and its numbers in one line, for the log."""
    name = f"{report['model']} v{report['version']}"
    rows = f"{report['traffic']['rows']:,} rows"
    texts = [each["text"] for each in (*report["reasons"], *report["alarms"])]
    verdict = {
        RETRAIN: "retrain", OK: "no reason to retrain", ATTENTION: "no reason to retrain, but look",
        NO_TRAFFIC: "nothing examined", TOO_FEW_ROWS: "too little to judge",
    }[report["state"]]  # fmt: skip
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{verdict}: {name}, {rows}" + (f"; {texts[0]}{more}" if texts else "")


def _too_little_traffic(report: dict[str, Any], rules: Rules) -> list[Finding]:
    rows = report["traffic"]["rows"]
    others = ", ".join(
        f"v{version} {counted['rows']:,}" for version, counted in report["versions"].items() if counted["rows"]
    )
    if not rows:
        elsewhere = f"; other versions: {others}" if others else ""
        return [Finding(NO_TRAFFIC, f"no row of v{report['version']} was logged in the period{elsewhere}")]
    if rows < rules.min_rows and report["quality"].get("value") is None:
        return [Finding(TOO_FEW_ROWS, f"{rows:,} rows were logged, distributions of fewer than {rules.min_rows:,} say "
                                      "nothing")]  # fmt: skip
    return []


def _distances(report: dict[str, Any], rules: Rules) -> list[Finding]:
    titles = {
        kinds.SKEW: "moved from what the model was trained on",
        kinds.DRIFT: "moved since the period before",
        kinds.PREDICTIONS: "moved since the period before",
    }
    found = []
    for kind, title in titles.items():
        moved = [item for item in report[kind] if item["exceeded"]]
        names = list(dict.fromkeys(item["feature"] for item in moved))
        if names and len(names) >= (1 if kind == kinds.PREDICTIONS else rules.min_drifted):
            listed = ", ".join(_distance_text(item) for item in moved[:_SHOWN])
            more = f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
            of_features = f"{len(names)} of {_features(report[kind])} features"
            what = "predictions" if kind == kinds.PREDICTIONS else of_features
            found.append(Finding(kind, f"{what} {title}: {listed}{more}"))
    return found


def _features(items: list[dict[str, Any]]) -> int:
    return len({item["feature"] for item in items})


def _distance_text(item: dict[str, Any]) -> str:
    missing = " missing" if item["measure"] == MISSING else ""
    return f"{item['feature']}{missing} {item['value']:.3f} (at most {item['limit']:.3f})"


def _quality(report: dict[str, Any]) -> list[Finding]:
    quality = report["quality"]
    found = []
    if bad := quality.get("not_finite"):
        found.append(
            Finding(kinds.QUALITY, f"{bad:,} of {quality['labelled']:,} labelled rows were answered by NaN or infinity")
        )
    if not quality["lost"]:
        return found
    baseline = f", the baseline is {quality['baseline']:.3f}" if quality["baseline"] is not None else ""
    live = f"{quality['metric']} is {quality['value']:.3f} ({quality['low']:.3f} to {quality['high']:.3f})"
    return [*found, Finding(kinds.QUALITY, f"{live} on {quality['labelled']:,} labelled rows{baseline}")]


def _staleness(report: dict[str, Any]) -> list[Finding]:
    age, most = report["staleness"]["age_days"], report["staleness"]["max_age_days"]
    if not most or age is None or age <= most:
        return []
    text = f"the model's data ends {age:.0f} days before the period's end, {most:g} are allowed"
    return [Finding(kinds.STALENESS, text)]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _operational_alarms(report: dict[str, Any], rules: Rules) -> list[Finding]:
    traffic, quality = report["traffic"], report["quality"]
    found = []
    if rules.max_p99_ms and traffic["p99_ms"] is not None and traffic["p99_ms"] > rules.max_p99_ms:
        found.append(Finding("latency", f"p99 is {traffic['p99_ms']:.1f} ms, at most {rules.max_p99_ms:g} are allowed"))
    if traffic.get("unknown") and report.get("log", {}).get("metrics", True):
        unknown = " and no ".join(traffic["unknown"])
        found.append(Finding("log", f"Cloud Monitoring has no {unknown} for some of the requests"))
    if traffic["errors"] > rules.max_error_rate * traffic["requests"]:
        found.append(Finding("errors", f"{traffic['errors']:,} of {traffic['requests']:,} requests got an error"))
    lost = traffic["dropped"] + traffic["lost"]
    if lost > rules.max_dropped * traffic["sampled"]:
        found.append(Finding("log", f"{traffic['dropped']:,} sampled requests and {traffic['lost']:,} rows are not in "
                                    "the log"))  # fmt: skip
    if report["unreadable"]:
        found.append(Finding("log", f"of the log cannot be read: {_some(report['unreadable'])}"))
    if report["labels"]["given"] and report["labels"]["coverage"] is not None:
        if report["labels"]["coverage"] < rules.min_coverage:
            found.append(Finding("labels", f"{quality['labelled']:,} of {traffic['examined']:,} rows have a label"))
        if report["labels"]["conflicting"]:
            found.append(Finding("labels", f"{report['labels']['conflicting']:,} rows have labels that differ"))
    return found
