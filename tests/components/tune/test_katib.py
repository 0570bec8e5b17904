"""Katib's suggestion services behind the search: requests against a listener of Katib's own messages, with faults."""

import grpc
import keras_tuner
import pytest

import katib_listener
import small_examples
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.components.tune import katib_messages, search_space, work
from kfp_ct.components.tune.katib import Goal, KatibTrial, Patience, Service
from kfp_ct.components.tune.settings import Katib
from kfp_ct.data import layouts
from tuning import request, write_module

SOON = Patience(0.01, 0.02, 0.3)
GOAL = Goal("val_accuracy", True, 5)


@pytest.fixture
def listener():
    with katib_listener.listening() as found:
        yield found


def settings(listener, **changed):
    return {"endpoint": listener.endpoint, "algorithm": "tpe", **changed}


def service(listener, **changed):
    return Service(Katib(**settings(listener, **changed)), "s", SOON)


def parameters(define):
    hp = keras_tuner.HyperParameters()
    define(hp)
    return search_space.parameters(hp.space, search_space.KATIB)


def whole(hp):
    hp.Int("units", 2, 8)
    hp.Int("width", 8, 64, step=2, sampling="log")
    hp.Float("rate", 1e-4, 0.1, sampling="log")
    hp.Choice("activation", ["relu", "tanh"])
    hp.Choice("batch", [32, 8, 16])
    hp.Boolean("bias")
    hp.Fixed("seed", 3)


def test_the_experiment_is_katibs_and_its_values_keras_tuners(listener):
    found = parameters(whole)
    asked = service(listener, algorithm_settings={"startup_trials": "2"})
    asked.open(GOAL, found)
    trial = asked.suggest([])
    spec = listener.asked[0].experiment.spec
    spaces = {each.name: (each.parameter_type, each.feasible_space) for each in spec.parameter_specs.parameters}
    assert (spec.objective.type, spec.objective.objective_metric_name) == (katib_messages.MAXIMIZE, "val_accuracy")
    assert [(each.name, each.value) for each in spec.algorithm.algorithm_settings] == [("startup_trials", "2")]
    assert spaces["units"][0] == katib_listener.INT
    assert (spaces["units"][1].min, spaces["units"][1].max) == ("2", "8")
    assert spaces["rate"][1].distribution == katib_messages.LOG_UNIFORM
    assert list(spaces["width"][1].list) == ["8", "16", "32", "64"]
    assert list(spaces["bias"][1].list) == ["false", "true"]
    assert "seed" not in spaces
    values = {each.name: each.value(trial.assignments[each.name]) for each in found}
    kinds = {"units": int, "width": int, "rate": float, "activation": str, "batch": int, "bias": bool}
    assert {name: type(value) for name, value in values.items()} == kinds


def test_trials_are_told_by_the_texts_that_they_came_with(listener):
    asked = service(listener)
    asked.open(GOAL, parameters(whole))
    first = asked.suggest([])
    ended = KatibTrial(first.name, first.assignments, first.labels, katib_messages.SUCCEEDED, 0.75)
    assert asked.suggest([ended]) != first
    assert listener.told == {first.name: 0.75}
    with pytest.raises(ConfigurationError, match=r"refuses: UNKNOWN: An unknown trial(.|\n)*restart the service"):
        asked.suggest([KatibTrial("other", {"units": "3"}, {})])
    listener.most = 2
    assert asked.suggest([ended]) is None


@pytest.mark.parametrize(
    ("faults", "algorithm", "kind", "said"),
    [
        ([], "grid", ConfigurationError, "refuses: INVALID_ARGUMENT: unknown algorithm name"),
        ([grpc.StatusCode.UNAVAILABLE] * 100, "tpe", ComponentError, "does not answer: UNAVAILABLE"),
    ],
    ids=["algorithm", "away"],
)
def test_a_service_that_says_no_ends_the_search(listener, faults, algorithm, kind, said):
    listener.faults = faults
    with pytest.raises(kind, match=said):
        service(listener, algorithm=algorithm).open(GOAL, parameters(whole))


def test_a_service_that_is_away_for_a_moment_or_checks_no_settings_is_used(listener, capsys):
    listener.faults = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED]
    service(listener).open(GOAL, parameters(whole))
    assert len(listener.asked) == 2
    assert "is away; it is asked again" in capsys.readouterr().out


def test_what_katib_has_no_equal_of_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="'a b' has a space in its name, which Katib has no equal of"):
        parameters(lambda hp: hp.Int("a b", 1, 2))
    with pytest.raises(ConfigurationError, match="'r' is sampled by reverse_log, which Katib has no equal of"):
        parameters(lambda hp: hp.Float("r", 0.1, 1, sampling="reverse_log"))


def test_a_search_takes_its_values_from_katib_and_tells_it_the_scores(listener, shared, tmp_path):
    _, schema, graph = small_examples.shared_graph(shared)
    examples = small_examples.write(tmp_path / "examples", small_examples.table(200))
    tuning = {"trials": 3, "rows": 60, "katib": settings(listener)}
    module = write_module(tmp_path)
    outputs = work.Outputs(str(tmp_path / "trials"), str(tmp_path / "view.html"))
    found = work.tune(request((examples, schema, graph), module, tuning), outputs)
    summary = layouts.read_json(tmp_path / "trials" / "summary.json")
    assert len(listener.suggested) == 3
    tried = [each["values"]["units"] for each in summary["trials"]]
    assert tried == [int(each["units"]) for each in listener.suggested]
    assert sorted(listener.told.values()) == pytest.approx(
        [each["score"] for each in sorted(summary["trials"][:2], key=lambda each: each["score"])]
    )
    assert found["units"] in tried
    assert "tuner/katib" not in str(summary["values"])
