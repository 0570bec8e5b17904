"""What the report and the command say of a monitoring run."""

import types

import pytest

from kfp_ct.report import decision, page

MOVED = {
    "feature": "temp", "measure": "jensen_shannon_divergence", "value": 0.98, "threshold": 0.7, "allowance": 0.01,
    "limit": 0.7, "exceeded": True,
}  # fmt: skip
SKEW = {"kind": "skew", "text": "1 of 2 features moved"}


def report(state, reasons=(), alarms=()):
    counts = {"rows": 10, "requests": 2, "sampled": 2, "dropped": 0, "lost": 0, "errors": 1}
    return {
        "model": "flights", "version": "3", "state": state, "retrain": bool(reasons), "reasons": list(reasons),
        "alarms": list(alarms), "window": {"start": "2013-06-01T00:00:00+00:00", "end": "2013-06-02T00:00:00+00:00"},
        "skew": [MOVED, MOVED | {"feature": "dewp", "value": 0.1, "exceeded": False}], "drift": [], "predictions": [],
        "traffic": {**counts, "examined": 10, "p50_ms": 1.0, "p99_ms": 2.0,
                    "latencies": [{"low": 1.0, "high": 2.0, "count": 10}]},
        "versions": {"3": counts},
        "quality": {"metric": "auc", "labelled": 10, "baseline": 0.7, "unjudged": "", "value": 0.6, "low": 0.5,
                    "high": 0.7, "loss": 0.1, "loss_low": 0.0},
        "labels": {"given": True, "coverage": 1.0, "conflicting": 0},
        "staleness": {"age_days": 3.2}, "rules": {"max_loss": 0.02},
    }  # fmt: skip


def content(found):
    run = types.SimpleNamespace(state="SUCCEEDED", tasks=[])
    return types.SimpleNamespace(run=run, monitoring=found, evaluation={}, deployment={}, checks=[])


def drawn(of):
    return page.draw_part(page.SECTIONS["Monitoring"], of)


def test_the_section_has_the_decision_and_what_it_rests_on():
    shown = drawn(content(report("RETRAIN", [SKEW])))

    assert "flights v3, 2013-06-01 00:00 to 2013-06-02 00:00 UTC" in shown
    assert "Retrain." in shown
    assert "temp: 0.980, at most 0.700" in shown
    assert "1 within their limits" in shown
    assert "10 of 10 rows have a label." in shown


def test_a_run_that_monitored_nothing_has_no_section():
    assert drawn(content({})) == ""


@pytest.mark.parametrize(
    ("found", "outcome", "headline"),
    [
        (report("RETRAIN", [SKEW]), "refused", "Retrain: the model is not what its traffic needs"),
        (report("OK"), "finished", "No reason to retrain"),
        (report("ATTENTION", alarms=[SKEW]), "refused", "No reason to retrain, but somebody should look"),
        (report("NO_TRAFFIC", alarms=[SKEW]), "refused", "Nothing examined"),
        (report("TOO_FEW_ROWS", alarms=[SKEW]), "refused", "Nothing examined"),
    ],
    ids=lambda value: value["state"] if isinstance(value, dict) else "",
)
def test_the_headline_never_calls_healthy_what_was_not_examined(found, outcome, headline):
    said = decision.decide(content(found))

    assert (said.outcome, said.headline) == (outcome, headline)
    assert said.consequence == ("" if outcome == "finished" else SKEW["text"])
