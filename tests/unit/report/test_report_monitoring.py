"""What the report and the command say of a monitoring run."""

import types

import pytest

from kfp_ct.report import decision, page
from reporting import SKEW, monitoring_report


def content(found):
    run = types.SimpleNamespace(state="SUCCEEDED", tasks=[])
    return types.SimpleNamespace(run=run, monitoring=found, evaluation={}, deployment={}, checks=[])


def drawn(of):
    return page.draw_part(page.SECTIONS["Monitoring"], of)


def test_the_section_has_the_decision_and_what_it_rests_on():
    shown = drawn(content(monitoring_report("RETRAIN", [SKEW])))

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
        (monitoring_report("RETRAIN", [SKEW]), "refused", "Retrain: the model is not what its traffic needs"),
        (monitoring_report("OK"), "finished", "No reason to retrain"),
        (monitoring_report("ATTENTION", alarms=[SKEW]), "refused", "No reason to retrain, but somebody should look"),
        (monitoring_report("NO_TRAFFIC", alarms=[SKEW]), "refused", "Nothing examined"),
        (monitoring_report("TOO_FEW_ROWS", alarms=[SKEW]), "refused", "Nothing examined"),
    ],
    ids=lambda value: value["state"] if isinstance(value, dict) else "",
)
def test_the_headline_never_calls_healthy_what_was_not_examined(found, outcome, headline):
    said = decision.decide(content(found))

    assert (said.outcome, said.headline) == (outcome, headline)
    assert said.consequence == ("" if outcome == "finished" else SKEW["text"])
