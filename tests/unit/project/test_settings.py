"""Settings are checked against the pipeline's inputs before anything runs."""

import dataclasses
import math
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project import workspace as project
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def workspace():
    return project.find_workspace()


@pytest.fixture(scope="module")
def compiled():
    return package.compile_pipeline("pipelines.training", "flights-training")


@pytest.mark.parametrize("environment", ["local", "dev", "prod", "kind"])
def test_shipped_settings_fit_the_pipeline(workspace, compiled, environment):
    settings.validate(settings.load(workspace, "flights", environment, {}), compiled, workspace)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        pytest.param(
            {"max_bad": 0.1}, "max_bad: the pipeline has no such input; did you mean max_bad_fraction?", id="unknown"
        ),
        pytest.param({"sources": 3}, "sources is 3: expected an object", id="wrong-type"),
        pytest.param({"warm_start": "yes"}, 'warm_start is "yes": expected true or false', id="text-for-a-bool"),
        pytest.param({"model_name": 7}, "model_name is 7: expected a text; put it in quotes", id="number-for-a-text"),
        pytest.param(
            {"serving_root": "s3:/bucket/models"},
            'serving_root is "s3:/bucket/models": expected a path, file://, s3://bucket/path or gs://bucket/path',
            id="a place of no kind",
        ),
        pytest.param({"serving_root": "gs:///models"}, 'serving_root is "gs:///models": expected', id="no bucket"),
        pytest.param({"max_bad_fraction": 1.5}, "max_bad_fraction is 1.5: expected a number from 0 to 1", id="range"),
        pytest.param({"max_bad_fraction": math.nan}, "max_bad_fraction is NaN: expected a finite number", id="nan"),
        pytest.param({"window_end": "June"}, 'window_end is "June": expected a date or instant in ISO 8601', id="date"),
        pytest.param(
            {"window_start": "2014-01-01"},
            "window_start: the window from 2014-01-01T00:00:00 up to 2013-06-01T00:00:00 is empty",
            id="window-upside-down",
        ),
        pytest.param(
            {"window_start": "last 0 days"},
            'window_start is "last 0 days": expected a date or instant',
            id="window-of-nothing",
        ),
        pytest.param(
            {"distribution": "miror"}, "one of '' (empty), mirrored, multi_worker_mirrored; did you mean", id="choice"
        ),
        pytest.param(
            {"split": {"method": "times"}},
            'split.method is "times": expected one of column, group, hash, none',
            id="split",
        ),
        pytest.param(
            {"split": {"column": "x"}},
            "split.method is missing: expected one of column, group, hash, none",
            id="no-method",
        ),
        pytest.param(
            {"split": {"method": "none"}},
            'split.method is "none": it leaves no rows to train on or to evaluate, which evaluate, train, transform, '
            "tune need; expected another split",
            id="nothing-to-train-on",
        ),
        pytest.param({"split.columns": ["x"]}, "split.columns is not a setting: did you mean column?", id="of"),
        pytest.param({"sources.weather.uri": ""}, "sources.weather.uri: expected either it or bigquery", id="neither"),
        pytest.param(
            {"sources.weather.columns.temp": "NUMBER"},
            'sources.weather.columns.temp is "NUMBER": expected one of BIGINT',
            id="sql-type",
        ),
        pytest.param({"gates.min_gian": 0.1}, "gates.min_gian is not a setting: did you mean min_gain?", id="gates"),
        pytest.param(
            {"gates.confidence": 95}, "gates.confidence is 95: expected a number from 0.5 to below 1 (--set)", id="95%"
        ),
        pytest.param(
            {"gates.min_slice_rows": 1.5}, "min_slice_rows is 1.5: expected a whole number of 1", id="half-row"
        ),
        pytest.param({"gates.slices": "origin"}, 'gates.slices is "origin": expected a list of texts', id="no-list"),
        pytest.param(
            {"gates.task": "regression"}, "gates.metric: auc is not a metric of the task regression", id="task"
        ),
        pytest.param({"infra.rows": 0}, "infra.rows is 0: expected a whole number of 1 or more", id="no-rows"),
        pytest.param(
            {"infra.server": "docker"}, "expected subprocess, docker:IMAGE, or a model's address", id="server"
        ),
        pytest.param({"tuning.trials": -1}, "tuning.trials is -1: expected a whole number of 0 or more", id="trials"),
        pytest.param(
            {"registry_uri": "databricks"}, 'registry_uri is "databricks": expected sqlite:///path', id="registry"
        ),
        pytest.param(
            {"hyperparameters.batch_size": "big"},
            'hyperparameters.batch_size is "big": expected a whole number of 1 or more',
            id="batch-size",
        ),
        pytest.param({"deny": ["a", 1]}, "deny[1] is 1: expected a name or a pattern, such as *email*", id="item"),
        pytest.param(
            {"ingest_options.bigquery.max_bytes_billed": 0.5},
            "ingest_options.bigquery.max_bytes_billed is 0.5: expected a whole number",
            id="renamed-input",
        ),
        pytest.param({"gates": {1: 2}}, "gates.1: the name 1 is not a text; fix: put it in quotes", id="name"),
    ],
)
def test_what_does_not_fit_is_named_with_the_file_to_edit(workspace, compiled, overrides, said):
    chosen = settings.load(workspace, "flights", "local", overrides)
    with pytest.raises(UsageError) as refused:
        settings.validate(chosen, compiled, workspace)
    assert said.removesuffix(" (--set)") in str(refused.value)
    assert "pipelines/flights/settings/local.yaml" in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param({"window_end": "2013-06-01T00:00:00Z"}, id="an instant in UTC, as our message proposes it"),
        pytest.param({"tuning": {"trials": 0, "epochs": 0, "rows": 0}}, id="the documented defaults of tuning"),
        pytest.param({"infra.server": "docker:kfp-ct-serving:dev"}, id="a container for infra validation"),
        pytest.param({"infra.server": "http://HOST:8501/v1/models/NAME"}, id="a service for infra validation"),
        pytest.param({"infra.rows": 200.0, "gates.min_slice_rows": 500.0}, id="whole numbers as KFP hands them over"),
        pytest.param({"infra.p99_ms": None}, id="a budget taken away"),
        pytest.param({"max_bad_fraction": 0}, id="an int for a float input"),
        pytest.param({"hyperparameters": {"hidden": [8, 8], "batch_size": 256}}, id="hyperparameters of the module"),
        pytest.param({"registry_uri": "https://mlflow.example.com"}, id="an MLflow server"),
        pytest.param({"sources": {"flights": "flights.csv", "weather": {"bigquery": "a.b.c"}}}, id="sources in short"),
        pytest.param(
            {"sources": {}, "ingest_options": {"engine": "bigquery"}}, id="a query that BigQuery runs has no sources"
        ),
    ],
)
def test_what_is_documented_is_taken(workspace, compiled, overrides):
    settings.validate(settings.load(workspace, "flights", "local", overrides), compiled, workspace)


def test_numbers_get_the_type_of_their_input(compiled):
    values = {"max_bad_fraction": 0, "warm_start": True, "window_end": "2013-06-01"}
    assert repr(package.typed(compiled, values)["max_bad_fraction"]) == "0.0"
    assert package.typed(compiled, values) == values
    assert repr(package.defaults(package.with_defaults(compiled, values))["max_bad_fraction"]) == "0.0"


def test_a_missing_argument_is_named(workspace, compiled):
    chosen = settings.load(workspace, "flights", "local", {})
    del chosen.parameters["model_name"]
    with pytest.raises(UsageError, match="model_name is missing: expected a text"):
        settings.validate(chosen, compiled, workspace)


def test_five_mistakes_are_five_lines_each_with_its_file(tmp_path, compiled):
    folder = tmp_path / "pipelines" / "flights" / "settings"
    shutil.copytree(ROOT / "pipelines" / "flights" / "settings", folder)
    base = (folder / "base.yaml").read_text()
    wrong = [("confidence: 0.95", "confidence: 95"), ("min_gain: 0.0", "min_gian: 0.0"), ("1 month", "a month")]
    for right, mistake in wrong:
        assert base.count(right) == 1
        base = base.replace(right, mistake)
    (folder / "base.yaml").write_text(base)
    (folder / "local.yaml").write_text((folder / "local.yaml").read_text() + "  distribution: mirror\n  lable: late\n")
    chosen = settings.load(project.Workspace(tmp_path, tmp_path / ".ct"), "flights", "local", {"max_bad_fraction": 2})

    with pytest.raises(UsageError) as refused:
        settings.validate(chosen, compiled, project.find_workspace())

    first, *lines, last = str(refused.value).splitlines()
    assert first == "these settings do not fit the pipeline pipelines.training"
    assert sorted(line.partition(":")[0] for line in lines) == [
        '- distribution is "mirror"', "- gates.confidence is 95", "- gates.min_gian is not a setting",
        "- lable", "- max_bad_fraction is 2", '- split.holdout is "a month"',
    ]  # fmt: skip
    files = {line.split()[1]: line.rpartition("(")[2] for line in lines}
    assert files["gates.confidence"] == "base.yaml)"
    assert files["distribution"] == files["lable:"] == "local.yaml)"
    assert last == "fix: edit pipelines/flights/settings/local.yaml or pass --set NAME=VALUE"


def test_a_section_for_a_service_is_checked_with_the_rest(tmp_path, compiled):
    chosen = settings.load(project.find_workspace(), "flights", "local", {})
    wrong = {"kfp": {"hots": "x", "auth": "none"}, "vertex": {"bucket": "acme"}}
    with pytest.raises(UsageError) as refused:
        settings.validate(dataclasses.replace(chosen, targets=wrong), compiled, project.find_workspace())

    assert "- kfp.hots is not a setting: did you mean host?" in str(refused.value)
    assert '- vertex.bucket is "acme": expected gs://BUCKET' in str(refused.value)
    assert "missing" not in str(refused.value)  # another file may say the rest


def test_extends_merges_deeply_and_overrides_win(workspace):
    chosen = settings.load(workspace, "flights", "prod", {"gates.min_gain": 0.5, "hyperparameters.epochs": 2})
    assert chosen.parameters["gates"]["min_gain"] == 0.5
    assert chosen.parameters["gates"]["metric"] == "auc"
    assert chosen.parameters["hyperparameters"] == {"epochs": 2}
    assert chosen.parameters["sources"]["flights"]["uri"].endswith(".csv.gz")
    assert chosen.parameters["sources"]["flights"]["columns"]["carrier"] == "VARCHAR"


def test_state_goes_where_the_home_is(tmp_path):
    chosen = settings.load(project.find_workspace(tmp_path), "flights", "local", {})
    assert chosen.parameters["serving_root"] == f"{tmp_path}/serving"


def test_unknown_projects_and_environments_are_named(workspace):
    with pytest.raises(UsageError, match="there is no project 'ships'"):
        settings.load(workspace, "ships", "local", {})
    with pytest.raises(UsageError, match=r"expected: one of base, .*dev, kind, local, .*prod"):
        settings.load(workspace, "flights", "moon", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("extends: a.yaml\n", "extends itself", id="loop"),
        pytest.param("pipeline: [", "is not YAML", id="not-yaml"),
        pytest.param("- 1\n", "expected a mapping", id="list"),
        pytest.param("parameters: {}\n", "no entry 'pipeline'", id="no-pipeline"),
        pytest.param("pipeline: p\nparamters: {}\n", "unknown entry 'paramters'", id="misspelt"),
        pytest.param("pipeline: p\npipeline: q\n", "the name 'pipeline' stands here twice", id="twice"),
        pytest.param("pipeline: [p]\n", "no entry 'pipeline'", id="pipeline-is-no-text"),
        pytest.param("pipeline: p\nparameters: &x {a: *x}\n", "is not YAML", id="holds-itself"),
        pytest.param("extends: [a.yaml]\n", "the name of one settings file", id="extends-two"),
    ],
)
def test_a_broken_settings_file_is_one_message(tmp_path, text, said):
    folder = tmp_path / "pipelines" / "p" / "settings"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        settings.load(project.Workspace(tmp_path, tmp_path / ".ct"), "p", "a", {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a=3", ("a", 3), id="int"),
        pytest.param("a.b=true", ("a.b", True), id="bool"),
        pytest.param("a=2013-07-01", ("a", "2013-07-01"), id="date-stays-text"),
        pytest.param("a=[x, y]", ("a", ["x", "y"]), id="list"),
        pytest.param("a={b: 2013-07-01}", ("a", {"b": "2013-07-01"}), id="date-in-an-object"),
        pytest.param("a=1e-5", ("a", 1e-5), id="number-with-an-exponent"),
        pytest.param("a=null", ("a", None), id="null"),
        pytest.param("a=", ("a", ""), id="empty"),
        pytest.param("a=b=c", ("a", "b=c"), id="equals-in-value"),
    ],
)
def test_overrides_have_yaml_types(text, expected):
    assert settings.parse_override(text) == expected


@given(st.text())
def test_an_override_is_taken_or_refused_but_never_crashes(text):
    try:
        name, _ = settings.parse_override(text)
    except UsageError:
        return
    assert text.startswith(f"{name}=")


def test_a_misspelt_rule_of_the_monitor_is_named(workspace):
    compiled = package.compile_pipeline("pipelines.monitoring", "flights-monitoring")
    chosen = settings.load(workspace, "flights", "monitoring-local", {"rules.max_los": 0.1})
    with pytest.raises(UsageError, match=r"- rules\.max_los is not a setting: did you mean max_loss\?"):
        settings.validate(chosen, compiled, workspace)
    del chosen.parameters["rules"]["max_los"]
    settings.validate(chosen, compiled, workspace)


def test_settings_that_the_documentation_proposes_are_taken(workspace, compiled):
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").glob("*.md") if page.name != "cli.md")]
    text = "\n".join(page.read_text() for page in pages)
    named = re.findall(r"--set (?:'([\w.]+=[^']+)'|([a-z][\w.]*=[^\s`']+))", text)
    found = [quoted or plain for quoted, plain in named if plain != "name=value"]
    assert any(each.startswith("tuning=") for each in found)
    for each in found:
        name, value = settings.parse_override(each)
        settings.validate(settings.load(workspace, "flights", "local", {name: value}), compiled, workspace)


def test_rows_that_are_all_to_be_scored_are_no_problem_where_nothing_trains(workspace):
    compiled = package.compile_pipeline("pipelines.batch_prediction", "flights-batch-prediction")
    chosen = settings.load(workspace, "flights", "batch_prediction-local", {})
    settings.validate(chosen, compiled, workspace)


def test_a_relative_window_fits(workspace, compiled):
    overrides = {"window_start": "last 90 days", "window_end": ""}
    settings.validate(settings.load(workspace, "flights", "local", overrides), compiled, workspace)


def test_the_keras_of_a_project_is_2_or_3(workspace, tmp_path):
    folder = tmp_path / "pipelines/old/settings"
    folder.mkdir(parents=True)
    there = dataclasses.replace(workspace, root=tmp_path)
    (folder / "base.yaml").write_text("pipeline: pipelines.training\nkeras: 2\n")
    (folder / "local.yaml").write_text("extends: base.yaml\n")
    assert settings.load(there, "old", "local", {}).keras == 2
    (folder / "local.yaml").write_text("extends: base.yaml\nkeras: 1\n")
    with pytest.raises(UsageError, match=r"local\.yaml: keras is 1\nexpected: 2 or 3"):
        settings.load(there, "old", "local", {})
