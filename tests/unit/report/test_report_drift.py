"""What the report says of drift and skew."""

import types

import pytest

from kfp_ct.report import page

ANOMALIES = {"features": 21, "splits": [], "anomalies": []}


def distance(feature, value, threshold=0.2):
    return {"feature": feature, "measure": "", "value": value, "threshold": threshold, "exceeded": value > threshold}


def drawn(content):
    return page.draw_part(page.SECTIONS["Drift"], content)


@pytest.mark.parametrize(
    ("drifted", "said"),
    [
        (
            [distance("temp", 0.31), distance("late", 0.01)],
            "1 of 2 compared features (train against v3) drifted: temp 0.31",
        ),
        ([distance("late", 0.01)], "None of 1 compared feature (train against v3) drifted"),
        ([], "Drift: no feature has a comparator"),
    ],
)
def test_the_report_says_what_drifted(drifted, said):
    drift = {"of": "train against v3", "distances": drifted, "not_compared": []}
    skew = {"of": "eval against train", "distances": [distance("dewp", 0.5)], "not_compared": []}
    summary = ANOMALIES | {"drift": drift, "skew": [skew]}
    content = types.SimpleNamespace(anomalies=summary)
    shown = drawn(content)
    assert said in shown
    assert "1 of 1 compared feature (eval against train) skewed: dewp 0.50 (allowed 0.2)" in shown


def test_a_run_without_a_measured_drift_has_no_section_on_it():
    assert drawn(types.SimpleNamespace(anomalies={})) == ""
    of = {"of": "not measured: there is no champion yet", "distances": [], "not_compared": []}
    said = drawn(types.SimpleNamespace(anomalies=ANOMALIES | {"drift": of, "skew": []}))
    assert "Drift: not measured: there is no champion yet." in said
