"""Files and modules that settings name are looked at before anything runs: all that is wrong with them at once."""

import functools
import shutil

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package
from kfp_ct.project import module_files, validation
from kfp_ct.project import settings as project_settings
from kfp_ct.project import workspace as project
from kfp_ct.project.named_files import NamedFiles
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*base_image:FutureWarning")
EVAL_CONFIG, MODEL, FEATURES, QUERY, SCHEMA = (
    f"pipelines/flights/{name}"
    for name in ("eval_config.pbtxt", "model.py", "features.py", "examples.sql", "schema.pbtxt")
)
CLASS_NAME = f"eval_config: {EVAL_CONFIG}: metrics_specs[0].metrics[3].class_name"
OWN = "expected the class of a metric of TFMA or Keras, or one of your own with its module"
MODULE = 'model_module is "pipelines.flights.model"'


@functools.cache
def training():
    chosen = project_settings.load(project.find_workspace(), "flights", "local", {})
    return package.compile_pipeline("pipelines.training", "p"), chosen.parameters


@pytest.fixture
def root(tmp_path):
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def problems(root, here=False, made=None, **changed):
    compiled, parameters = training()
    files = NamedFiles(root, here, made)
    return [str(each) for each in validation.problems(compiled, {**parameters, **changed}, files)]


def edit(root, file, old, new):
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def test_a_module_has_one_of_two_functions(root):
    (root / "own.py").write_text("def custom_eval_shared_model(**given): ...\n")
    assert problems(root, gates={"extractors": "own.py"}) == []
    split = {"method": "hash", "columns": ["id"], "splits": {"train": 8, "eval": 1, "test": 1}}
    assert problems(root, split=split, gates={"example_splits": ["test"]}) == []


def test_what_the_shipped_settings_name_is_there(root):
    assert problems(root) == problems(root, here=True) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        pytest.param(
            EVAL_CONFIG, '"BinaryAccuracy"', '"BinaryAcuracy"',
            f'{CLASS_NAME} is "BinaryAcuracy": {OWN}; did you mean BinaryAccuracy?', id="metric",
        ),
        pytest.param(
            EVAL_CONFIG, 'label_key: "late"', "", f"eval_config: {EVAL_CONFIG}: model_specs names no label", id="label",
        ),
        pytest.param(
            EVAL_CONFIG, "metrics_specs {", "metric_specs {",
            "EvalConfig has no field metric_specs; did you mean metrics_specs?", id="text",
        ),
        pytest.param(SCHEMA, "feature {", "featur {", f"schema_file: {SCHEMA}: this is no schema", id="schema"),
        pytest.param(
            QUERY, "flights", "flight", f"query: {QUERY}: it reads flight, which is no source; did you mean flights?",
            id="source",
        ),
        pytest.param(QUERY, "@window_start", "@begin", f"query: {QUERY}: it uses @begin: expected", id="parameter"),
        pytest.param(
            MODEL, "def run_fn(", "def run(",
            f"{MODULE}: it has no function run_fn; expected `def run_fn(...)` at its top level",
            id="function",
        ),
        pytest.param(
            FEATURES, "def preprocessing_fn(", "class Inner:\n  def preprocessing_fn(",
            'features_module is "pipelines.flights.features": ', id="not at the top",
        ),
        pytest.param(
            MODEL, "def run_fn(", "def run_fn((", f"{MODULE}: model.py, line", id="syntax",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_said_with_its_place(root, file, old, new, said):
    edit(root, file, old, new)
    found = problems(root)
    assert len([each for each in found if said in each]) == 1, found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(
            {"eval_config": "pipelines/flights/eval_confg.pbtxt"},
            'eval_config is "pipelines/flights/eval_confg.pbtxt": there is no such evaluation config; '
            "did you mean pipelines/flights/eval_config.pbtxt?",
            id="file",
        ),
        pytest.param({"schema_file": "x/y.pbtxt"}, "there is no such schema; expected a path relative to", id="folder"),
        pytest.param({"query": "pipelines"}, 'query is "pipelines": there is no such query', id="a folder for a file"),
        pytest.param(
            {"model_module": "pipelines.flights.modle"},
            'model_module is "pipelines.flights.modle": there is no such module; did you mean pipelines.flights.model?',
            id="module",
        ),
        pytest.param(
            {"features_module": "pipeline.flights.features"}, "did you mean pipelines.flights.features?", id="package"
        ),
        pytest.param(
            {"model_module": "pipelines/flights/modl.py"}, "did you mean pipelines/flights/model.py?", id="py"
        ),
        pytest.param({"model_module": "a b"}, "there is no such module; expected an import path such as", id="no name"),
        pytest.param(
            {"gates": {"output": "late"}},
            f"gates.output: {EVAL_CONFIG} has no output 'late'; its only output has no name",
            id="output",
        ),
        pytest.param(
            {"gates": {"extractors": "pipelines/flights/model.py"}},
            'gates.extractors is "pipelines/flights/model.py": it has no function custom_extractors',
            id="extractors",
        ),
        pytest.param(
            {"gates": {"example_splits": ["eval", "tests"]}},
            "gates.example_splits: there is no split 'tests'; expected train, eval",
            id="a split that is not made",
        ),
        pytest.param(
            {"sources": {"a": {"bigquery": "pipelines/flights/gone.sql"}}},
            'sources.a.bigquery is "pipelines/flights/gone.sql": there is no such query',
            id="query of a source",
        ),
        pytest.param(
            {"sources": {"a": "a.csv"}},
            f"query: {QUERY}: it reads none of the sources: expected a SELECT",
            id="sources",
        ),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest(root, changed, said):
    found = problems(root, **changed)
    assert len([each for each in found if said in each]) == 1, found


@pytest.mark.parametrize(
    ("module", "class_name", "said"),
    [
        pytest.param("pipelines.flights.own", "Punctuality", "", id="there"),
        pytest.param("tensorflow_addons.metrics", "CohenKappa", "", id="of a package"),
        pytest.param(
            "pipelines.flights.ownn", "Punctuality",
            'metrics[1].module is "pipelines.flights.ownn": there is no such module; did you mean pipelines.flights.o',
            id="no module",
        ),
        pytest.param(
            "pipelines.flights.own", "Punctualty",
            "metrics[1].class_name: it has no class Punctualty; expected `class Punctualty(...)` at its top level",
            id="no class",
        ),
    ],
)  # fmt: skip
def test_a_metric_of_a_module_of_ones_own_is_looked_for(root, module, class_name, said):
    (root / "pipelines" / "flights" / "own.py").write_text("class Punctuality: ...\n")
    edit(root, EVAL_CONFIG, 'class_name: "AUC"\n', f'class_name: "{class_name}"\nmodule: "{module}"\n')
    found = problems(root)
    assert len(found) == bool(said)
    assert all(said in each for each in found), found


JUDGING = "pipelines.flights.judging"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        pytest.param(f"{JUDGING}:make", "", id="function"),
        pytest.param("pipelines/flights/judging.py:make", "", id="of a file"),
        pytest.param(
            f"{JUDGING}:mak", f'eval_config is "{JUDGING}": it has no function mak; expected `def mak(...)`', id="typo"
        ),
        pytest.param("pipelines.flights.judgin:make", f"did you mean {JUDGING}?", id="module"),
        pytest.param("pipelines/flights/judgin.py:make", "did you mean pipelines/flights/judging.py?", id="file"),
    ],
)
def test_an_evaluation_config_may_be_a_function(root, function, said):
    (root / "pipelines" / "flights" / "judging.py").write_text("def make(): ...\n")
    found = problems(root, eval_config=function)
    assert len(found) == bool(said)
    assert all(said in each for each in found), found


def test_what_a_function_returns_is_checked_as_a_file_is(root):
    (root / "pipelines" / "flights" / "judging.py").write_text("def make(): ...\n")
    text = (root / EVAL_CONFIG).read_text()

    def made(maker, reference):
        assert (maker, reference) == ("kfp_ct.components.evaluate.function_config", f"{JUDGING}:make")
        return text.replace('"BinaryAccuracy"', '"BinaryAcuracy"')

    (found,) = problems(root, made=made, eval_config=f"{JUDGING}:make")
    place = f"eval_config: {JUDGING}:make: metrics_specs[0].metrics[3].class_name"
    assert found == f'{place} is "BinaryAcuracy": {OWN}; did you mean BinaryAccuracy?'

    def failing(maker, reference):
        raise UsageError("make fails: no bound")

    assert problems(root, made=failing, eval_config=f"{JUDGING}:make") == [
        f'eval_config is "{JUDGING}:make": make fails: no bound'
    ]
    outputs = problems(root, made=lambda maker, reference: text, eval_config=f"{JUDGING}:make", gates={"output": "x"})
    assert outputs == [f"gates.output: {JUDGING}:make has no output 'x'; its only output has no name"]


def test_a_window_that_the_query_does_not_use_is_refused(root):
    edit(root, QUERY, "@window_end", "now()")
    assert problems(root) == [
        f"window_end: {QUERY} does not use it: expected a condition on @window_end, or no window_end"
    ]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"eval_config": "gs://bucket/eval_config.pbtxt"}, id="a URI"),
        pytest.param({"eval_config": "/mnt/ct/eval_config.pbtxt"}, id="a path of another machine"),
        pytest.param({"model_module": "their_library.model"}, id="a module of an installed package"),
        pytest.param({"schema_file": ""}, id="none"),
        pytest.param({"eval_config": "${FOLDER}/e.pbtxt", "model_module": "${MODEL}"}, id="environment variables"),
        pytest.param(
            {"query": QUERY, "sources": {"weather": "w.csv", "flights": "f", "other": "o"}}, id="a source more"
        ),
    ],
)
def test_what_cannot_be_seen_from_here_is_left_to_the_run(root, changed):
    assert problems(root, **changed) == []


def test_where_tasks_run_absolute_paths_must_be_there(root):
    (found,) = problems(root, here=True, eval_config=f"{root}/pipelines/flights/eval_confg.pbtxt")
    assert f"did you mean {root}/pipelines/flights/eval_config.pbtxt?" in found


def test_a_tuner_is_wanted_only_if_something_is_tuned(root):
    edit(root, MODEL, "def tuner_fn(", "def _tuner_fn(")
    assert problems(root) == []
    (found,) = problems(root, tuning={"trials": 2})
    assert "it has no function tuner_fn" in found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("run_fn = make()", id="assigned"),
        pytest.param("from other import run as run_fn", id="imported"),
        pytest.param("from other import *", id="all of another"),
        pytest.param("if True:\n    def run_fn(a): ...", id="under a condition"),
        pytest.param("try:\n    from a import run_fn\nexcept ImportError:\n    run_fn = None", id="tried"),
        pytest.param("def __getattr__(name): ...", id="made when asked for"),
        pytest.param("class run_fn: ...", id="a class"),
    ],
)
def test_a_function_may_come_from_anywhere(tmp_path, text):
    (tmp_path / "a.py").write_text(text)
    assert list(module_files.lacks(tmp_path / "a.py", "run_fn")) == []


def test_many_mistakes_in_many_files_are_as_many_lines(root):
    edit(root, EVAL_CONFIG, '"AUC"', '"AUCC"')
    edit(root, EVAL_CONFIG, '"Calibration"', '"Calibrated"')
    edit(root, MODEL, "def run_fn(", "def run(")
    found = problems(root, schema_file="s.pbtxt", features_module="pipelines.features", gates={"min_gian": 1})

    assert sorted(each.partition(":")[0] for each in found) == [
        "eval_config", "eval_config", "features_module is \"pipelines.features\"", "gates.min_gian is not a setting",
        "model_module is \"pipelines.flights.model\"", 'schema_file is "s.pbtxt"',
    ]  # fmt: skip
