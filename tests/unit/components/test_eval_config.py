"""An EvalConfig, a schema and a query are judged as texts, without TensorFlow, before anything runs."""

import pytest

from kfp_ct.components.evaluate import eval_config
from kfp_ct.components.ingest import sql_text
from kfp_ct.components.schema import curated
from repository import ROOT

FLIGHTS = ROOT / "pipelines" / "flights"


def config(metric="class_name: 'AUC'", model="label_key: 'late'", beside=""):
    return f"model_specs {{ {model} }} {beside} metrics_specs {{ metrics {{ {metric} }} }}"


def bound(threshold, slices="slicing_specs {}"):
    return f"class_name: 'AUC' per_slice_thresholds {{ {slices} threshold {{ {threshold} }} }}"


LOW = "value_threshold { lower_bound { value: 0.6 } }"
CHANGE = "change_threshold { absolute { value: 0 } direction: HIGHER_IS_BETTER }"
JFK = "slicing_specs { feature_values { key: 'origin' value: 'JFK' } }"
CROSS = "cross_slicing_specs { baseline_spec {} slicing_specs { feature_keys: 'origin' } }"
TWO = "label_keys { key: 'a' value: 'x' } label_keys { key: 'b' value: 'y' }"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((FLIGHTS / "eval_config.pbtxt").read_text(), id="the shipped one"),
        pytest.param(config(bound(LOW)), id="bound to all rows"),
        pytest.param(config(bound(CHANGE)), id="change"),
        pytest.param(config(bound(f"{LOW} {CHANGE}")), id="both"),
        pytest.param(config(f"class_name: 'AUC' threshold {{ {LOW} }}"), id="every slice"),
        pytest.param(config(bound(LOW, JFK), beside="slicing_specs { feature_keys: 'origin' }"), id="one value"),
        pytest.param(config(bound(LOW, JFK), beside="slicing_specs { slice_keys_sql: 'SELECT 1' }"), id="SQL"),
        pytest.param(
            config(f"class_name: 'AUC' cross_slice_thresholds {{ {CROSS} threshold {{ {LOW} }} }}", beside=CROSS),
            id="crossed slices",
        ),
        pytest.param(
            config("class_name: 'Mine' module: 'my.metrics' config: 'as it likes'"), id="a module of one's own"
        ),
        pytest.param(config("class_name: 'AUC' config: '\"num_thresholds\": 10'"), id="settings without braces"),
        pytest.param(config("class_name: 'Precision' config: '{\"any\": 1}'"), id="a metric that passes settings on"),
        pytest.param(config(model=TWO), id="two outputs"),
        pytest.param(config(model="name: 'a' label_key: 'x' } model_specs { name: 'b' label_key: 'y'"), id="two specs"),
        pytest.param(config(beside="model_specs { name: 'baseline' is_baseline: true }"), id="the champion's spec"),
    ],
)
def test_what_can_be_judged_has_no_problem(text):
    assert list(eval_config.problems(text)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("metrics {", "EvalConfig has no field metrics; did you mean metrics_specs?", id="unknown field"),
        pytest.param(config("clas_name: 'AUC'"), "MetricConfig has no field clas_name; did you mean class", id="f"),
        pytest.param(config("class_name: 3"), "line 1", id="type"),
        pytest.param("", "metrics_specs names no metrics", id="empty"),
        pytest.param("model_specs { label_key: 'late' }", "metrics_specs names no metrics", id="no metrics"),
        pytest.param("metrics_specs { metrics { class_name: 'AUC' } }", "model_specs names no label", id="no label"),
        pytest.param(config(model=""), "model_specs names no label: expected model_specs { label_key", id="no key"),
        pytest.param(
            config(model="prediction_keys { key: 'a' value: 'x' }"), "names no label of the output a", id="no label of"
        ),
        pytest.param(
            config(model=TWO).replace("metrics {", "output_names: 'c' metrics {"),
            "no label of the output c",
            id="output",
        ),
        pytest.param(
            config(model="name: 'alpha' label_key: 'x' } model_specs { name: 'b' label_key: 'y'").replace(
                "metrics {", "model_names: 'alpa' metrics {"
            ),
            "metrics_specs[0] names the output 'alpa', which no model_specs have; did you mean alpha?",
            id="model name",
        ),
        pytest.param(
            config("class_name: 'AUCC'"), 'metrics_specs[0].metrics[0].class_name is "AUCC": expected the class', id="m"
        ),
        pytest.param(config("class_name: 'BinaryAcuracy'"), "did you mean BinaryAccuracy?", id="nearest"),
        pytest.param(config("config: '{}'"), "class_name is missing: expected the class of a metric", id="nameless"),
        pytest.param(config("class_name: 'AUC' config: '{'"), "expected JSON such as", id="no JSON"),
        pytest.param(config("class_name: 'AUC' config: '[1]'"), "metrics[0].config is", id="no object"),
        pytest.param(
            config("class_name: 'AUC' config: '{\"num_threshold\": 9}'"),
            "metrics[0].config: AUC takes no num_threshold; did you mean num_thresholds?",
            id="unknown setting",
        ),
        pytest.param(config("class_name: 'MeanIoU'"), "MeanIoU needs num_classes, which is not given", id="missing"),
        pytest.param(config(bound("")), "threshold holds nothing against a model", id="empty threshold"),
        pytest.param(
            config(bound("value_threshold {}")), "value_threshold holds nothing against a model", id="no bound"
        ),
        pytest.param(
            config(bound("value_threshold { lower_bound { value: nan } }")), "lower_bound is NaN, which no", id="NaN"
        ),
        pytest.param(
            config(bound("value_threshold { lower_bound { value: 1 } upper_bound { value: 0 } }")),
            "can never be met: the lower bound 1 is above the upper bound 0",
            id="upside down",
        ),
        pytest.param(
            config(bound("change_threshold { absolute { value: 0 } }")),
            "change_threshold.direction is missing: expected HIGHER_IS_BETTER or LOWER_IS_BETTER",
            id="no direction",
        ),
        pytest.param(
            config(bound("change_threshold { direction: HIGHER_IS_BETTER }")),
            "change_threshold holds nothing against a model: expected absolute or relative",
            id="no change",
        ),
        pytest.param(
            config(bound(LOW, "")),
            "per_slice_thresholds[0] is bound to no slice, so it is never looked at",
            id="no slice",
        ),
        pytest.param(
            config(bound(LOW, JFK)),
            "is bound to slices of origin=JFK, which the config's slicing_specs do not",
            id="JFK",
        ),
        pytest.param(
            config(bound(LOW, JFK), beside="slicing_specs { feature_values { key: 'origin' value: 'EWR' } }"),
            "is bound to slices of origin=JFK",
            id="another value",
        ),
        pytest.param(
            config(f"class_name: 'AUC' cross_slice_thresholds {{ {CROSS} threshold {{ {LOW} }} }}"),
            "is bound to slices of origin against all rows, which the config's cross_slicing_specs do not make",
            id="crossed",
        ),
    ],
)
def test_what_cannot_be_judged_is_said(text, said):
    found = list(eval_config.problems(text))
    assert [each for each in found if said in each], found
    assert not [each for each in found if "\n" in each]


def test_everything_is_said_at_once():
    text = config("class_name: 'AUCC' } metrics { class_name: 'Recal' threshold {}", model="")
    assert [each.partition(":")[0] for each in eval_config.problems(text)] == [
        "model_specs names no label",
        'metrics_specs[0].metrics[0].class_name is "AUCC"',
        'metrics_specs[0].metrics[1].class_name is "Recal"',
        "metrics_specs[0].metrics[1].threshold holds nothing against a model",
    ]


def test_the_shipped_schema_has_no_problem():
    assert list(curated.problems((FLIGHTS / "schema.pbtxt").read_text())) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('feature { nme: "b" }', "Feature has no field nme; did you mean name?", id="unknown field"),
        pytest.param('feature { name: "a" type: INT', "line 1", id="unclosed"),
        pytest.param("", "it has no feature", id="empty"),
        pytest.param('feature { name: "a" }', "it gives feature 'a' no type", id="no type"),
        pytest.param(
            'feature { name: "a" type: BYTES domain: "b" }', "the domain 'b', which it does not define", id="domain"
        ),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(text, said):
    (found,) = curated.problems(text)
    assert said in found


SOURCES = ("flights", "weather")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((FLIGHTS / "examples.sql").read_text(), id="the shipped one"),
        pytest.param((FLIGHTS / "prediction.sql").read_text(), id="prediction"),
        pytest.param('SELECT * FROM "Flights"', id="quoted, of another case; one source is not read"),
        pytest.param("WITH flight AS (SELECT * FROM flights) SELECT * FROM flight JOIN weathr(1)", id="WITH"),
        pytest.param("SELECT * FROM flights WHERE x = 'from weathers' -- from weathers", id="aside"),
    ],
)
def test_a_query_over_the_sources_has_no_problem(text):
    assert [*sql_text.nothing(text), *sql_text.unread(text, SOURCES), *sql_text.unknown_parameters(text)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "it holds no SQL", id="empty"),
        pytest.param("-- SELECT 1\n /* FROM flights */ ;", "it holds no SQL", id="only comments"),
        pytest.param("SELECT 1", "it reads none of the sources: expected a SELECT from flights or weather", id="none"),
        pytest.param(
            "SELECT * FROM flights JOIN wether USING (hour)",
            "it reads wether, which is no source; did you mean weather?",
            id="misspelt",
        ),
        pytest.param("SELECT * FROM flights WHERE t < @window_stop", "it uses @window_stop: expected", id="parameter"),
    ],
)
def test_a_query_that_cannot_be_meant_says_why(text, said):
    found = list(sql_text.nothing(text)) or [*sql_text.unread(text, SOURCES), *sql_text.unknown_parameters(text)]
    assert [each for each in found if said in each], found
