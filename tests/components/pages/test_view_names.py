"""No text that a user or the data chose becomes an element of a component's view: pages differ in their texts alone."""

import functools

import pytest
from hypothesis import HealthCheck, given, settings

from depth import tries
from kfp_ct.components.evaluate import view as evaluate
from kfp_ct.components.monitor import view as monitor
from kfp_ct.components.statistics import view as statistics
from kfp_ct.components.tune import view as tune
from kfp_ct.components.validate_data import view as validate_data
from kfp_ct.components.validate_infra import view as validate_infra
from planted_names import TEXTS, Structure, plant
from reporting import (
    ANOMALIES,
    ANOMALY,
    CLASSES,
    EVALUATION,
    INFRA,
    MOVED,
    REFUSED,
    SKEW,
    SUMMARIES,
    VALUES,
    monitoring_report,
)  # fmt: skip

FOUND = {artifact: found for (_, artifact, _), found in SUMMARIES.items()}
DISTANCE = {"feature": "temp", "value": 0.4, "threshold": 0.2, "exceeded": True, "measure": "jensen_shannon_divergence"}
COMPARED = {"of": "train against v1", "distances": [DISTANCE], "not_compared": ["gust"]}
SPLITS = [split | {"anomalies": 0} for split in ANOMALIES["splits"]]
VALIDATED = ANOMALIES | {"splits": SPLITS, "drifted_features": ["temp"], "drift": COMPARED, "skew": [COMPARED]}
EVALUATED = {
    "task": "binary", "weight": "distance", "classes": ["on time", "late"],
    "intervals": {"challenger": {"auc": [0.7, 0.8]}},
    "comparison": EVALUATION["comparison"] | {"verdict": "better", "method": "paired bootstrap"},
    "slice_gaps": [{"column": "origin", "slices": 2, "gap": 0.1, "allowed": 0.05,
                    "low": {"slice": "origin=JFK", "value": 0.7, "rows": 900}, "high": None}],
}  # fmt: skip
LINE = {
    "metric": "auc", "value": 0.7, "baseline": 0.71, "skewed": ["temp"], "drifted": [], "p50_ms": 1.0, "p99_ms": 2.0,
    "version": "3", "start": "2013-06-01T00:00:00+00:00", "end": "2013-06-02T00:00:00+00:00", "rows": 10,
    "state": "RETRAIN", "reasons": ["skew"],
}  # fmt: skip


def evaluated(task, curves, evaluation=EVALUATION):
    return evaluation | EVALUATED | {"task": task, "curves": {"challenger": curves, "champion": curves}}


BINARY = EVALUATION["curves"]["challenger"]
LISTED = CLASSES | {"matrix": None, "confusions": [{"actual": "late", "predicted": "early", "rows": 3}]}
INPUT = {"name": "carrier", "type": "string [-1]", "optional": True}
VIEWS = {
    "evaluate": (evaluate.draw, [evaluated("binary", BINARY)]),
    "evaluate, refused": (evaluate.draw, [evaluated("binary", BINARY, REFUSED)]),
    "evaluate, classes": (evaluate.draw, [evaluated("multiclass", {"classes": CLASSES})]),
    "evaluate, many classes": (evaluate.draw, [evaluated("multiclass", {"classes": LISTED})]),
    "evaluate, values": (evaluate.draw, [evaluated("regression", VALUES)]),
    "monitor": (monitor.draw, [monitoring_report("RETRAIN", [SKEW], [SKEW]) | {"drift": [MOVED]}, [LINE, LINE]]),
    "statistics": (statistics.draw, [FOUND["statistics"]]),
    "tune": (tune.draw, [FOUND["trials"] | {"overruled": ["rate"]}]),
    "validate_data": (validate_data.draw, [VALIDATED]),
    "validate_data, anomalies": (validate_data.draw, [VALIDATED | {"anomalies": [ANOMALY]}]),
    "validate_infra": (
        validate_infra.draw,
        [
            INFRA
            | {"mismatches": ["row 1"], "latencies_ms": [1.0, 2.0], "settings": {"concurrency": 2}, "inputs": [INPUT]},
            ["row 1"],
        ],
    ),
}


def drawn(name, text):
    draw, values = VIEWS[name]
    planted = plant(values, text)
    return Structure(draw(*planted))


@functools.cache
def plain(name):
    return drawn(name, "x").elements


@pytest.mark.parametrize("name", VIEWS)
@given(text=TEXTS)
@settings(deadline=None, max_examples=tries(7, 20), suppress_health_check=[HealthCheck.too_slow])
def test_no_name_becomes_markup(name, text):
    assert drawn(name, f"x{text}").elements == plain(name)


@pytest.mark.parametrize("name", VIEWS)
def test_what_was_planted_is_shown_as_it_is(name):
    assert drawn(name, "x{{ 7*7 }}").texts.count("x{{ 7*7 }}") >= 5
