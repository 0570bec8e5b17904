"""A model's card says what its run measured and what its people wrote, and nothing else."""

import dataclasses
import json

import jsonschema
import pytest
import yaml

from cli_runner import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.cards import card_formats, model_card
from kfp_ct.cards.statement import Statement
from kfp_ct.project.workspace import Workspace
from kfp_ct.report import importance, model_statement, run_card
from reporting import Laboratory
from repository import ROOT

STATEMENT = Statement(
    overview="Predicts lateness & more.", owners=({"name": "Ada", "contact": "ada@example.com"},), licence="Apache-2.0",
    intended_uses=("teaching",), out_of_scope=("planning",), limitations=("one year only",),
    risks=({"name": "small carriers", "mitigation": "a gate"},),
)  # fmt: skip
# What the Model Card Toolkit's schema 0.0.2 says of the parts that are written.
TOOLKIT = {
    "type": "object",
    "required": ["model_details"],
    "additionalProperties": False,
    "properties": {
        "schema_version": {"const": "0.0.2"},
        "model_details": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string"}, "overview": {"type": "string"},
                "owners": {"type": "array", "items": {"required": ["name"]}},
                "version": {"properties": {"name": {"type": "string"}, "date": {"type": "string"}}},
                "licenses": {"type": "array", "items": {"properties": {"identifier": {"type": "string"}}}},
                "references": {"type": "array", "items": {"required": ["reference"]}},
            },
        },
        "model_parameters": {"type": "object"},
        "quantitative_analysis": {
            "properties": {
                "performance_metrics": {
                    "type": "array",
                    "items": {
                        "additionalProperties": False,
                        "required": ["type", "value"],
                        "properties": {
                            "type": {"type": "string"}, "value": {"type": "string"}, "slice": {"type": "string"},
                            "confidence_interval": {"type": "object"},
                        },
                    },
                }
            }
        },
        "considerations": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"type": "array", "items": {"type": "object"}}
                for name in ("users", "use_cases", "limitations", "tradeoffs", "ethical_considerations")
            },
        },
    },
}  # fmt: skip


def sliced(name, rows, auc, columns=None):
    columns = columns or dict([name.split("=")])
    return {"slice": name, "columns": columns, "rows": rows, "challenger": {"auc": auc, "example_count": rows}}


def report(**changes):
    run = {
        "id": "20261128-1", "project": "flights", "pipeline": "pipelines.training", "commit": "abc",
        "code_version": "v", "image": "", "cause": "by hand", "user": "ada", "versions": {"kfp": "2.17"},
        "ended": "2026-11-28T12:00:00+00:00",
        "parameters": {"model_name": "flights", "gates": {"metric": "auc", "min_slice_rows": 100}},
    }  # fmt: skip
    return {
        "run": run,
        "decision": {"version": "3"},
        "checks": [{"gate": "threshold", "passed": True, "reason": "AUC 0.7 ≥ 0.65"}],
        "metrics": {"challenger": {"auc": 0.7, "calibration": None, "example_count": 900.0}},
        "baseline": {"metric": "auc", "value": 0.5, "gain": 0.2, "low": 0.1, "high": 0.3, "method": "DeLong",
                     "predicts": "0"},
        "slices": [
            sliced("carrier=AA", 300, 0.8), sliced("carrier=UA", 300, 0.6), sliced("carrier=HA", 3, 0.1),
            sliced("origin=JFK", 500, None), sliced("origin=LGA", 400, 0.7),
            sliced("carrier=AA,origin=JFK", 200, 0.2, {"carrier": "AA", "origin": "JFK"}),
        ],
        "data": {
            "window": {"start": "2013-01-01", "end": "2013-04-01"}, "sources": {"flights": "f.csv"},
            "fingerprint": "d0df",
            "splits": [{"name": "train", "rows": 5000}, {"name": "eval", "rows": 900}], "rejected_rows": 0,
            "columns": {"carrier": "string", "a|b": "int"}, "split_by": {"method": "time"},
        },
        "infra": {"measured": {"p99_ms": 12.5}},
        **changes,
    }  # fmt: skip


@pytest.fixture
def card():
    return model_card.of(report(), STATEMENT)


def test_gaps_are_between_slices_of_one_column_with_enough_rows(card):
    assert [(gap.column, gap.best.slice, gap.worst.slice, round(gap.size, 3)) for gap in card.gaps] == [
        ("carrier", "carrier=AA", "carrier=UA", 0.2)
    ]
    assert card.too_small == ("carrier=HA",)


def test_the_page_has_it_all_and_escapes_what_people_wrote(card):
    page = card_formats.page(card)

    for text in (
        "v3",
        "Ada (ada@example.com)",
        "teaching",
        "planning",
        "one year only",
        "carrier=UA",
        "AUC 0.7 ≥ 0.65",
    ):
        assert text in page
    for text in ("Predicts lateness &amp; more.", "12.5", "d0df", "gains\n0.2000 (0.1000 to 0.3000, DeLong)"):
        assert text in page
    assert "Nobody has written yet" not in page


def test_importance_stands_in_every_form_with_its_intervals_and_its_cost(card):
    measured = {
        "method": "permutation", "metric": "auc", "value": 0.7, "rows": 900, "confidence": 0.95, "seconds": 1.25,
        "features": [{"feature": "h<o>ur", "loss": 0.11, "low": 0.1, "high": 0.12},
                     {"feature": "dest", "loss": -0.001, "low": None, "high": None}],
    }  # fmt: skip
    assert "What it goes by" not in card_formats.page(card)
    card = dataclasses.replace(card, importance=measured)

    page = card_formats.page(card)
    assert "h&lt;o&gt;ur" in page
    assert "0.1000 to 0.1200" in page
    assert "900 rows of the eval split" in page
    assert "1.2 seconds of CPU" in page
    assert "| h<o>ur | 0.1100 | 0.1000 to 0.1200 |" in card_formats.markdown(card)
    found = card_formats.machine(card)
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), TOOLKIT)
    first, second = found["quantitative_analysis"]["performance_metrics"][-2:]
    assert (first["type"], first["confidence_interval"]) == (
        "auc lost without h<o>ur", {"lower_bound": "0.1", "upper_bound": "0.12"},
    )  # fmt: skip
    assert "confidence_interval" not in second


def test_attribution_stands_in_every_form_with_how_far_its_sums_are_off(card):
    measured = {
        "method": "integrated gradients", "output": "probability", "rows": 2000, "confidence": 0.95, "seconds": 9.5,
        "points": 32, "gap": 0.0004, "features": [{"feature": "x × z", "moves": 0.05, "low": 0.04, "high": 0.06}],
    }  # fmt: skip
    assert "What moves its output" not in card_formats.page(card)
    card = dataclasses.replace(card, attribution=measured)

    page = card_formats.page(card)
    for text in ("What moves its output", "x × z", "0.0400 to 0.0600", "at 32 points", "off by 0.0004 on average"):
        assert text in page
    assert "| x × z | 0.0500 | 0.0400 to 0.0600 |" in card_formats.markdown(card)
    found = card_formats.machine(card)
    jsonschema.validate(json.loads(json.dumps(found, allow_nan=False)), TOOLKIT)
    assert found["quantitative_analysis"]["performance_metrics"][-1] == {
        "type": "probability moved by x × z", "value": "0.05", "slice": "",
        "confidence_interval": {"lower_bound": "0.04", "upper_bound": "0.06"},
    }  # fmt: skip


def test_importance_is_read_beside_the_report(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(report()))
    assert run_card.of_run(tmp_path, STATEMENT).importance == {}
    (tmp_path / "importance.json").write_text('{"features": []}')

    assert run_card.of_run(tmp_path, STATEMENT).importance == {"features": []}
    assert run_card.of_run(tmp_path, STATEMENT).attribution == {}


def test_importance_needs_what_the_run_made(tmp_path):
    run = Laboratory(tmp_path).run()

    with pytest.raises(UsageError, match=r"the model of run \S+ is not there: no \S+\n.*\nfix: run the pipeline again"):
        importance.measure(Workspace(tmp_path, tmp_path), run)


def test_data_without_a_window_are_all_rows_and_a_split_by_columns_names_them():
    data = report()["data"] | {"window": {"start": "", "end": ""}, "split_by": {"columns": ["customer", "day"]}}
    card = model_card.of(report(data=data), Statement())
    text = card_formats.markdown(card)
    assert "| window | all rows of the sources |" in text
    assert "| split by | columns customer, day |" in text
    assert "> Nobody has written yet: overview, owners, intended uses, limitations." in text
    one_sided = model_card.of(report(data=data | {"window": {"start": "", "end": "2013-04-01"}}), STATEMENT)
    assert one_sided.data["window"] == "to 2013-04-01 (exclusive)"


def test_the_metric_that_decides_stands_first():
    metrics = {"challenger": {"calibration": 1.0, "auc": 0.7, "example_count": 900.0}}
    card = model_card.of(report(metrics=metrics), STATEMENT)
    assert [each.metric for each in card.overall] == ["auc", "calibration"]


def test_a_project_that_says_nothing_is_told_so(card):
    page = card_formats.page(model_card.of(report(), Statement()))

    assert "Nobody has written yet: overview, owners, intended uses, limitations." in page


def test_a_run_that_got_to_nothing_but_an_evaluation_still_has_a_card():
    bare = report(baseline=None, slices=[], data={}, infra={}, checks=[], metrics={})

    card = model_card.of(bare, Statement())

    assert card_formats.page(card)
    assert card_formats.markdown(card)
    assert card_formats.machine(card)["quantitative_analysis"] == {"performance_metrics": []}


def test_json_is_the_model_card_toolkits(card):
    found = json.loads(json.dumps(card_formats.machine(card), allow_nan=False))

    jsonschema.validate(found, TOOLKIT)
    metrics = {
        (each["type"], each["slice"]): each["value"] for each in found["quantitative_analysis"]["performance_metrics"]
    }
    assert metrics["auc", ""] == "0.7"
    assert metrics["auc", "carrier=UA"] == "0.6"
    assert {"description": "Not for: planning"} in found["considerations"]["use_cases"]


def test_markdown_begins_with_what_a_hub_reads(card):
    text = card_formats.markdown(card)
    head = yaml.safe_load(text.split("---\n")[1])

    assert head["license"] == "apache-2.0"
    (model,) = head["model-index"]
    assert model["results"][0]["metrics"] == [{"type": "auc", "value": 0.7}]
    assert "| carrier=UA | 300 | 0.6000 |" in text
    assert "a\\|b" in text


def test_what_people_wrote_is_checked(tmp_path):
    assert model_statement.load(tmp_path) == Statement()
    (tmp_path / model_statement.FILE).write_text("overveiw: it predicts\nowners: [{contact: a}]\n")

    with pytest.raises(UsageError, match=r"(?s)overveiw.*overview") as caught:
        model_statement.load(tmp_path)
    assert "owners[0].name" in str(caught.value)


def test_the_example_says_all_that_a_reader_looks_for():
    assert model_statement.load(ROOT / "pipelines/flights").missing == []


def test_the_command_wants_a_run_that_made_a_model(tmp_path):
    done = ct(tmp_path, "model-card", "flights")

    assert (done.code, done.err.splitlines()[0]) == (2, "error: no run of flights has blessed a model yet")
    assert ct(tmp_path, "model-card", "flights", "--format", "pdf").code == 2
    assert "run 'x' made no model" in ct(tmp_path, "model-card", "flights", "--run", "x").err
