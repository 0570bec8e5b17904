"""Vertex AI Vizier behind the search: its requests against a listener of the library's own messages, with faults."""

import json

import keras_tuner
import pytest

import small_examples
import vizier_listener
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.tune import search_space, work
from kfp_ct.components.tune.settings import Vizier
from kfp_ct.components.tune.suggestions import VizierSuggestions
from kfp_ct.components.tune.vizier import Goal, Patience, Study
from kfp_ct.data import layouts
from tuning import request, write_module
from vizier_listener import LOSE_ANSWER

pytestmark = pytest.mark.filterwarnings("ignore:You are using a Python version:FutureWarning")
SOON = Patience(0.01, 0.02, 0.5)
GOAL = Goal("val_accuracy", True)


@pytest.fixture
def listener():
    with vizier_listener.listening() as found:
        yield found


def settings(listener, **changed):
    return {"project": "p", "location": "europe-west4", "api_endpoint": listener.url, **changed}


def study(listener):
    return Study(Vizier(**settings(listener)), "s", SOON)


def space(define):
    hp = keras_tuner.HyperParameters()
    define(hp)
    return hp.space


def whole(hp):
    hp.Int("units", 2, 8)
    hp.Int("layers", 1, 7, step=3)
    hp.Int("width", 8, 64, step=2, sampling="log")
    hp.Float("rate", 1e-4, 0.1, sampling="log")
    hp.Float("dropout", 0, 0.5, step=0.1)
    hp.Choice("activation", ["relu", "tanh"])
    hp.Choice("batch", [32, 8, 16])
    hp.Choice("rates", [0.1, 0.01])
    hp.Boolean("bias")
    hp.Fixed("seed", 3)


def test_a_space_is_viziers_and_its_values_keras_tuners():
    found = {each.name: each for each in search_space.parameters(space(whole))}
    assert found["units"].spec == {
        "integerValueSpec": {"minValue": "2", "maxValue": "8"}, "scaleType": "UNIT_LINEAR_SCALE"
    }  # fmt: skip
    assert found["layers"].spec["discreteValueSpec"]["values"] == [1.0, 4.0, 7.0]
    assert found["width"].spec["discreteValueSpec"]["values"] == [8.0, 16.0, 32.0, 64.0]
    assert found["rate"].spec == {
        "doubleValueSpec": {"minValue": 1e-4, "maxValue": 0.1}, "scaleType": "UNIT_LOG_SCALE"
    }  # fmt: skip
    assert len(found["dropout"].values) == 6
    assert found["batch"].spec["discreteValueSpec"]["values"] == [8.0, 16.0, 32.0]
    assert found["bias"].spec["categoricalValueSpec"]["values"] == ["false", "true"]
    assert "seed" not in found
    suggested = {"units": 5.0, "layers": 4.0, "rate": 0.01, "dropout": 0.3, "activation": "tanh", "batch": 16.0}
    values = [found[name].value(value) for name, value in {**suggested, "bias": "true", "rates": 0.1}.items()]
    assert values == [5, 4, 0.01, pytest.approx(0.3), "tanh", 16, True, 0.1]
    assert [type(value) for value in values] == [int, int, float, float, str, int, bool, float]
    with pytest.raises(ConfigurationError, match="for batch"):
        found["batch"].value(12.0)


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda hp: hp.Int("hidden units", 1, 2), "'hidden units' has a space in its name"),
        (lambda hp: hp.Float("rate", 0, 1, step=1e-4), "'rate' has more than 1,000 steps"),
    ],
)
def test_what_vizier_has_no_equal_of_is_refused_by_name(define, said):
    with pytest.raises(ConfigurationError, match=said):
        search_space.parameters(space(define))


def test_a_study_is_made_once_and_a_client_keeps_its_trial(listener):
    parameters = search_space.parameters(space(whole))
    first = study(listener)
    assert first.open(GOAL, parameters) == []
    (made,) = listener.studies.values()
    assert made.study_spec.metrics[0].goal.name == "MAXIMIZE"
    trial = first.suggest("worker-1")
    assert first.suggest("worker-1") == trial
    assert first.suggest("worker-2") != trial
    first.complete(trial.name, 0.75)
    first.complete(trial.name, 0.75)  # said twice, it is one measurement
    ended, going = study(listener).open(GOAL, parameters)
    assert (ended.score, ended.is_open, going.is_open) == (0.75, False, True)
    assert len(listener.studies) == 1


def test_a_service_that_is_away_or_out_of_quota_is_asked_again(listener, capsys):
    listener.faults = {
        "lookup": [503], "create studies": [LOSE_ANSWER], "suggest": [429, LOSE_ANSWER], "get operations": [503],
        "complete": [LOSE_ANSWER],
    }  # fmt: skip
    asked = study(listener)
    asked.open(GOAL, search_space.parameters(space(whole)))
    trial = asked.suggest("worker-1")
    asked.complete(trial.name, 0.5)
    assert len(listener.studies) == len(listener.trials) == 1
    assert listener.trials[trial.name].final_measurement.metrics[0].value == 0.5
    assert (listener.count("suggest"), listener.count("complete")) == (3, 2)
    assert "Vizier does not suggest a trial: 429" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (403, ConfigurationError, "does not create a study: 403 .*\nexpected: .*roles/aiplatform.user"),
        (429, ComponentError, "does not create a study: .*\nexpected: an answer\nfix: run again"),
    ],
)
def test_a_service_that_says_no_ends_the_search(listener, fault, kind, said):
    listener.faults = {"create studies": [fault] * 1000}
    with pytest.raises(kind, match=said):
        study(listener).open(GOAL, search_space.parameters(space(whole)))
    assert listener.studies == {}


@pytest.fixture(scope="module")
def prepared(shared, tmp_path_factory):
    _, schema, graph = small_examples.shared_graph(shared)
    return small_examples.write(tmp_path_factory.mktemp("small") / "examples", small_examples.table(200)), schema, graph


class KilledError(Exception):
    """Stands for the end of the process: nothing after it is done."""


@pytest.mark.parametrize("lasting", [True, False], ids=["checkpoints", "no checkpoints"])
def test_a_search_that_is_stopped_goes_on_and_doubles_nothing(listener, prepared, tmp_path, monkeypatch, lasting):
    monkeypatch.setattr(Study.__init__, "__defaults__", (SOON,))
    tuning = {"trials": 3, "rows": 60, "vizier": settings(listener)}
    module = write_module(tmp_path, "if units == UNITS: raise ValueError('too odd')".replace("UNITS", "-1"))
    asked = request(prepared, module, tuning, str(tmp_path / "checkpoints") if lasting else "")
    outputs = work.Outputs(str(tmp_path / "trials"), str(tmp_path / "view.html"))
    complete, said = Study.complete, []

    def killed_at_the_second(self, *arguments):
        said.append(arguments)
        if len(said) == 2:
            raise KilledError
        complete(self, *arguments)

    monkeypatch.setattr(Study, "complete", killed_at_the_second)
    with pytest.raises(KilledError):
        work.tune(asked, outputs)
    assert [each.state.name for each in listener.trials.values()] == ["SUCCEEDED", "ACTIVE"]
    monkeypatch.setattr(Study, "complete", complete)
    found = work.tune(asked, outputs)

    assert [each.state.name for each in listener.trials.values()] == ["SUCCEEDED"] * 3
    assert len(listener.studies) == 1
    summary = layouts.read_json(tmp_path / "trials" / "summary.json")
    scores = [each.final_measurement.metrics[0].value for each in listener.trials.values()]
    assert sorted(each["score"] for each in summary["trials"]) == pytest.approx(sorted(scores))
    best = listener.trials[
        max(listener.trials, key=lambda name: listener.trials[name].final_measurement.metrics[0].value)
    ]
    assert max(scores) == pytest.approx(max(each["score"] for each in summary["trials"]))
    assert found["units"] in {int(each.parameters[0].value) for each in listener.trials.values()}
    assert "tuner/vizier" not in json.dumps(summary["values"])
    assert best.state.name == "SUCCEEDED"


def test_without_a_number_of_trials_nothing_is_asked(listener):
    class Endless:
        max_trials = None

    with pytest.raises(ConfigurationError, match=r"set tuning\.trials"):
        VizierSuggestions(study(listener)).attach(Endless())
    assert listener.asked == []
