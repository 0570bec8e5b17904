"""Settings are checked against the pipeline's inputs before anything runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project import workspace as project

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def workspace():
    return project.find_workspace()


@pytest.fixture(scope="module")
def compiled():
    return package.compile_pipeline("pipelines.training", "flights-training")


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_shipped_settings_fit_the_pipeline(workspace, compiled, environment):
    settings.validate(settings.load(workspace, "flights", environment, {}), compiled, workspace)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        pytest.param(
            {"max_bad": 0.1}, "max_bad: the pipeline has no such input; did you mean max_bad_fraction?", id="unknown"
        ),
        pytest.param({"sources": 3}, "sources: 3 is not of type 'object'", id="wrong-type"),
        pytest.param({"warm_start": "yes"}, "warm_start: 'yes' is not of type 'boolean'", id="text-for-a-bool"),
        pytest.param({"max_bad_fraction": 1.5}, "max_bad_fraction: 1.5 is greater than the maximum of 1", id="range"),
        pytest.param({"window_end": "June"}, "window_end: 'June' does not match", id="not-a-date"),
        pytest.param({"window_start": "2014-01-01"}, "is not before window_end", id="window-upside-down"),
        pytest.param(
            {"window_start": "last 0 days"}, "window_start: 'last 0 days' does not match", id="window-of-nothing"
        ),
        pytest.param({"distribution": "all"}, "distribution: 'all' is not one of", id="not-in-the-list"),
        pytest.param({"split": {"method": "coin"}}, "split.method: 'coin' is not one of", id="nested"),
    ],
)
def test_what_does_not_fit_is_named_with_the_file_to_edit(workspace, compiled, overrides, said):
    chosen = settings.load(workspace, "flights", "local", overrides)
    with pytest.raises(UsageError) as refused:
        settings.validate(chosen, compiled, workspace)
    assert said in str(refused.value)
    assert "pipelines/flights/settings/local.yaml" in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_missing_argument_is_named(workspace, compiled):
    chosen = settings.load(workspace, "flights", "local", {})
    del chosen.parameters["model_name"]
    with pytest.raises(UsageError, match="model_name: missing"):
        settings.validate(chosen, compiled, workspace)


def test_all_problems_are_told_at_once(workspace, compiled):
    chosen = settings.load(workspace, "flights", "local", {"nonsense": 1, "sources": 3})
    with pytest.raises(UsageError, match=r"(?s)nonsense.*sources"):
        settings.validate(chosen, compiled, workspace)


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
    with pytest.raises(UsageError, match=r"expected: one of base, .*dev, local, .*prod"):
        settings.load(workspace, "flights", "moon", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("extends: a.yaml\n", "extends itself", id="loop"),
        pytest.param("pipeline: [", "is not YAML", id="not-yaml"),
        pytest.param("- 1\n", "expected a mapping", id="list"),
        pytest.param("parameters: {}\n", "no entry 'pipeline'", id="no-pipeline"),
        pytest.param("pipeline: p\nparamters: {}\n", "unknown entry 'paramters'", id="misspelt"),
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


def test_a_relative_window_fits(workspace, compiled):
    overrides = {"window_start": "last 90 days", "window_end": ""}
    settings.validate(settings.load(workspace, "flights", "local", overrides), compiled, workspace)
