"""`ct from-tfx`: what TFX's own pipelines become, and what is refused by name."""

import json

import pytest
import yaml

import tfx_pipelines
from kfp_ct.base.errors import UsageError
from kfp_ct.new.from_tfx import convert
from kfp_ct.new.from_tfx.inspected import read
from kfp_ct.project.workspace import Workspace
from tfx_pipelines import component

TAXI = "taxi_pipeline_native_keras"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tfx_pipelines.home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def converted(home, tmp_path):
    (tmp_path / "pipelines").mkdir()

    def call(name, edit=lambda found: None, project=""):
        text = tfx_pipelines.inspected(name, home, edit)
        return convert.convert(Workspace(tmp_path, tmp_path / ".ct"), read(text), project)

    return call


def settings(made, environment="base"):
    return yaml.safe_load((made.folder / "settings" / f"{environment}.yaml").read_text())


def states(made):
    return {(row.node, row.what): row.state for row in made.rows}


def refusals(made):
    assert made.folder is None
    return {(row.node, row.what): row.here for row in made.blocking}


def test_taxi_is_a_project(converted, home):
    made = converted(TAXI)
    parameters = settings(made)["parameters"]
    module = "pipelines/chicago_taxi_native_keras/taxi_utils_native_keras.py"
    assert parameters["features_module"] == parameters["model_module"] == module
    assert parameters["hyperparameters"] == {"train_steps": 1000, "eval_steps": 150}
    assert parameters["gates"] == {"task": "binary"}
    assert "keras" not in settings(made)
    assert settings(made, "local")["parameters"]["sources"] == {
        "examples": {"uri": f"{home}/taxi/data/simple/*", "format": "csv"}
    }
    assert "% 3 < 2" in (made.folder / "examples.sql").read_text()
    config = (made.folder / "eval_config.pbtxt").read_text()
    assert 'label_key: "tips_xf"' in config
    assert "value: -1e-10" in config
    original = tfx_pipelines.EXAMPLES / "chicago_taxi_pipeline/taxi_utils_native_keras.py"
    assert (made.folder / "taxi_utils_native_keras.py").read_bytes() == original.read_bytes()
    assert states(made)["Evaluator", "baseline_model"] == "same"
    assert not [row for row in made.rows if row.state == "no equal"]


def made_by(file):
    """Lets what was inspected say that a function of a file made the EvalConfig."""

    def edit(found):
        config = json.loads(component(found, "Evaluator")["exec_properties"]["eval_config"])
        found["eval_config_functions"] = [{"config": config, "file": str(file), "function": "make"}]

    return edit


@pytest.mark.parametrize("inside", [True, False], ids=["of the repository", "of elsewhere"])
def test_a_function_that_makes_the_evalconfig_is_kept(converted, tmp_path, tmp_path_factory, inside):
    folder = tmp_path / "judges" if inside else tmp_path_factory.mktemp("elsewhere") / "judges"
    folder.mkdir()
    (folder / "judging.py").write_text("import bounds\n\n\ndef make(): ...\n")
    (folder / "bounds.py").write_text("AUC = 0.6\n")
    made = converted(TAXI, made_by(folder / "judging.py"), "taxi")
    place = "judges" if inside else "pipelines/taxi"
    assert settings(made)["parameters"]["eval_config"] == f"{place}/judging.py:make"
    assert not (made.folder / "eval_config.pbtxt").exists()
    assert (made.folder / "bounds.py").exists() is not inside


def test_a_function_beside_tfx_is_written_as_text(converted, tmp_path):
    (tmp_path / "judging.py").write_text("from tfx.v1 import dsl\n\n\ndef make(): ...\n")
    made = converted(TAXI, made_by(tmp_path / "judging.py"))
    assert settings(made)["parameters"]["eval_config"] == "pipelines/chicago_taxi_native_keras/eval_config.pbtxt"


def test_penguin_keeps_its_tuner_and_its_logits(converted):
    made = converted("penguin_pipeline_local")
    parameters = settings(made)["parameters"]
    assert parameters["tuning"] == {"trials": 0}
    assert parameters["gates"] == {"model_output": "logits", "task": "multiclass"}
    assert states(made)["Tuner", "train_args.num_steps"] == "differs"
    assert states(made)["BulkInferrer", ""] == "differs"
    assert states(made)["transform_cache_resolver", "LatestArtifactStrategy"] == "differs"


def test_a_schema_comes_along_and_gives_columns_their_types(converted, home):
    text = 'feature { name: "species" type: INT }\nfeature { name: "body_mass_g" type: FLOAT }\n'
    (home / "penguin/schema/user_provided").mkdir(parents=True)
    (home / "penguin/schema/user_provided/schema.pbtxt").write_text(text)
    (home / "penguin/penguin_utils.py").write_text((home / "penguin/penguin_utils_keras.py").read_text())
    (home / "penguin/data/labelled").mkdir(parents=True)
    (home / "penguin/data/labelled/d.csv").write_text("species,body_mass_g,note\n1,2,x\n")
    made = converted("penguin_pipeline_local_infraval")
    assert settings(made)["parameters"]["schema_file"] == "pipelines/penguin_local_infraval/schema.pbtxt"
    assert (made.folder / "schema.pbtxt").read_text() == text
    source = settings(made, "local")["parameters"]["sources"]["examples"]
    assert source["columns"] == {"species": "BIGINT", "body_mass_g": "DOUBLE"}
    assert states(made)["InfraValidator", "tensorflow_serving 2.8.2"] == "differs"
    assert states(made)["InfraValidator", "make_warmup"] == "differs"


def test_imdb_splits_by_its_own_shares_and_names_its_label(converted):
    made = converted("imdb_pipeline_native_keras")
    assert "% 10 < 9" in (made.folder / "examples.sql").read_text()
    assert settings(made)["parameters"]["label"] == "label"
    assert settings(made)["parameters"]["gates"]["model_output"] == "logits"
    assert [row.here for row in made.rows if row.what == "Keras"] == [
        "Keras 3; if the module is written for Keras 2, put `keras: 2` into settings/base.yaml"
    ]


def test_splits_and_extractors_of_the_evaluator_are_the_gates(converted, home):
    (home / "taxi/extracting.py").write_text("import scores\n\n\ndef custom_extractors(**given): ...\n")
    (home / "taxi/scores.py").write_text("")
    of_the_evaluator = {"example_splits": '["eval", "test"]', "module_file": str(home / "taxi/extracting.py")}
    made = converted(TAXI, given("Evaluator", **of_the_evaluator))
    module = "pipelines/chicago_taxi_native_keras/extracting.py"
    assert settings(made)["parameters"]["gates"] == {
        "task": "binary", "example_splits": ["eval", "test"], "extractors": module
    }  # fmt: skip
    assert (made.folder / "extracting.py").is_file()
    assert (made.folder / "scores.py").is_file()


def test_splits_that_are_not_validated_are_skipped(converted):
    def edit(found):
        found["components"] = [each for each in found["components"] if each["id"] != "ExampleValidator"]
        found["components"].append({
            **component(found, "StatisticsGen"), "id": "ExampleValidator", "bases": ["ExampleValidator"],
            "exec_properties": {"exclude_splits": '["eval"]'},
        })  # fmt: skip

    assert settings(converted(TAXI, edit))["parameters"]["severities"] == {"eval": "skip"}


def test_legacy_keras_of_the_pipeline_is_the_project_s(converted):
    made = converted("imdb_pipeline_native_keras", lambda found: found.update(legacy_keras="1"))
    assert settings(made)["keras"] == 2


def test_mnist_reads_tfrecords_and_copies_what_its_module_imports(converted, home):
    def beside(found):
        for wanted in ("Transform", "Trainer.mnist"):
            component(found, wanted)["exec_properties"]["module_file"] = str(home / "own/model.py")

    (home / "own").mkdir()
    (home / "own/model.py").write_text("import steps\n\ndef run_fn(a): ...\n\ndef preprocessing_fn(i): ...\n")
    (home / "own/steps.py").write_text("import constants\n")
    (home / "own/constants.py").write_text("N = 1\n")
    (home / "own/unused.py").write_text("")
    made = converted("mnist_pipeline_native_keras", beside)
    assert settings(made, "local")["parameters"]["sources"]["examples"]["format"] == "tfrecord"
    assert {file.name for file in made.folder.glob("*.py")} == {"__init__.py", "model.py", "steps.py", "constants.py"}
    assert states(made)["no InfraValidator", ""] == "differs"


def test_an_evaluation_of_estimators_is_refused_and_nothing_written(converted, tmp_path):
    found = refusals(converted("taxi_pipeline_simple"))
    assert any(what == "eval_config" for _, what in found)
    assert list((tmp_path / "pipelines").iterdir()) == []


def test_a_runtime_parameter_is_named(converted):
    made = converted("taxi_pipeline_simple")
    assert states(made)["CsvExampleGen", "RuntimeParameter data_root"] == "differs"


def test_bigquery_is_a_source_with_its_own_query(converted):
    made = converted("taxi_pipeline_kubeflow_gcp_bqml")
    assert states(made)["BigQueryExampleGen", "query"] == "same"
    assert "there is no file gs://my-bucket/taxi_utils_bqml.py" in refusals(made)["Trainer", "module_file"]


def given(wanted, **properties):
    def edit(found):
        component(found, wanted)["exec_properties"].update(properties)

    return edit


def of_kind(wanted, *bases, executor=""):
    def edit(found):
        node = component(found, wanted)
        node.update(type=f"own.{bases[0]}", bases=[*bases, "BaseComponent"], executor=executor)

    return edit


def in_context(found):
    component(found, "Trainer")["contexts"] = ["ForEachContext"]


def under_a_condition(found):
    component(found, "Trainer")["conditions"] = ["x == 1"]


def a_second_trainer(found):
    found["components"].append({**component(found, "Trainer"), "id": "Trainer.second"})


def without_evaluator(found):
    found["components"] = [each for each in found["components"] if each["id"] != "Evaluator"]


def behind_a_component_of_ones_own(found):
    other = {**component(found, "StatisticsGen"), "id": "Hello", "type": "own.Hello", "bases": ["Hello"]}
    found["components"].append(other)
    component(found, "Transform")["inputs"]["examples"][0]["producer"] = "Hello"


@pytest.mark.parametrize(
    ("edit", "node", "what"),
    [
        pytest.param(
            of_kind("CsvExampleGen", "PrestoExampleGen", "QueryBasedExampleGen", executor="presto.executor.Executor"),
            "CsvExampleGen", "PrestoExampleGen", id="Presto",
        ),
        pytest.param(
            of_kind("CsvExampleGen", "FileBasedExampleGen", executor="tfx.x.avro_executor.Executor"),
            "CsvExampleGen", "FileBasedExampleGen", id="Avro",
        ),
        pytest.param(given("CsvExampleGen", input_base={"placeholder": "x"}), "CsvExampleGen", "input_base",
                     id="a placeholder"),
        pytest.param(given("Trainer", module_file="/nowhere/m.py"), "Trainer", "module_file", id="no module"),
        pytest.param(given("Trainer", train_args='{"splits": ["test"]}'), "Trainer", "train_args.splits", id="train"),
        pytest.param(given("Evaluator", example_splits='["train"]'), "Evaluator", "example_splits", id="judge on"),
        pytest.param(given("Evaluator", module_file="/m.py"), "Evaluator", "module_file", id="extractors"),
        pytest.param(of_kind("Trainer", "Trainer", executor="tfx.components.trainer.rewriting.Executor"), "Trainer",
                     "executor", id="another executor"),
        pytest.param(in_context, "Trainer", "ForEachContext", id="ForEach"),
        pytest.param(under_a_condition, "Trainer", "Cond", id="a condition"),
        pytest.param(a_second_trainer, "Trainer, Trainer.second", "", id="two models"),
        pytest.param(without_evaluator, "Evaluator", "", id="no evaluation"),
        pytest.param(behind_a_component_of_ones_own, "Hello", "StatisticsGen", id="rows of a component of one's own"),
    ],
)  # fmt: skip
def test_what_is_essential_and_has_no_equal_is_refused_by_name(converted, tmp_path, edit, node, what):
    made = converted(TAXI, edit)
    assert (node, what if node != "Hello" else "Hello") in refusals(made)
    assert list((tmp_path / "pipelines").iterdir()) == []


@pytest.mark.parametrize(
    ("pattern", "range_config", "uri", "spans"),
    [
        pytest.param("day{SPAN:2}/*", None, "day{SPAN}/*", None, id="the latest"),
        pytest.param("s{SPAN}/v{VERSION}/*", '{"rolling_range": {"num_spans": 3}}', "s{SPAN}/v{VERSION}/*", "last 3",
                     id="last"),
        pytest.param("{YYYY}-{MM}-{DD}/*", '{"static_range": {"start_span_number": 3, "end_span_number": 7}}',
                     "{YYYY}-{MM}-{DD}/*", "3 to 7", id="static"),
    ],
)  # fmt: skip
def test_spans_are_the_source_s(converted, home, pattern, range_config, uri, spans):
    splits = json.dumps({"splits": [{"name": "single_split", "pattern": pattern}]})
    made = converted(TAXI, given("CsvExampleGen", input_config=splits, range_config=range_config))
    source = settings(made, "local")["parameters"]["sources"]["examples"]
    assert (source["uri"], source.get("spans")) == (f"{home}/taxi/data/simple/{uri}", spans)


def test_splits_of_the_input_are_sources(converted):
    splits = [{"name": name, "pattern": f"{name}/*"} for name in ("train", "eval")]
    made = converted(TAXI, given("CsvExampleGen", input_config=json.dumps({"splits": splits})))
    assert list(settings(made, "local")["parameters"]["sources"]) == ["train", "eval"]
    assert "UNION ALL BY NAME" in (made.folder / "examples.sql").read_text()


def test_a_partition_feature_is_the_key_of_the_split(converted):
    config = {"split_config": {"partition_feature_name": "company", "splits": [
        {"name": name, "hash_buckets": parts} for name, parts in (("train", 8), ("eval", 1), ("test", 1))
    ]}}  # fmt: skip
    made = converted(TAXI, given("CsvExampleGen", output_config=json.dumps(config)))
    wanted = {"method": "hash", "columns": ["company"], "splits": {"train": 8, "eval": 1, "test": 1}}
    assert settings(made)["parameters"]["split"] == wanted


def test_components_that_nothing_depends_on_are_left_out_by_name(converted):
    def edit(found):
        other = {**component(found, "StatisticsGen"), "id": "Slack", "type": "own.Slack", "bases": ["Slack"]}
        found["components"].append(other)

    made = converted(TAXI, edit)
    assert made.folder is not None
    assert states(made)["Slack", "a component of one's own"] == "no equal"


def test_custom_config_reaches_the_module(converted):
    config = json.dumps({"epochs": 2, "ai_platform_training_args": {"project": "p"}})
    made = converted(TAXI, given("Trainer", custom_config=config))
    assert settings(made)["parameters"]["hyperparameters"] == {"train_steps": 1000, "eval_steps": 150, "epochs": 2}
    assert states(made)["Trainer", "custom_config.ai_platform_training_args"] == "differs"


def test_functions_by_import_path_are_by_reference_under_the_names_that_components_call(converted, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/model.py").write_text("def train(fn_args): ...\n")
    made = converted(TAXI, given("Trainer", module_file=None, run_fn="models.model.train"))
    assert settings(made)["parameters"]["model_module"] == "pipelines.chicago_taxi_native_keras.model"
    assert "from models.model import train as run_fn" in (made.folder / "model.py").read_text()


def test_a_package_beside_the_pipeline_has_to_be_put_into_the_repository(converted, home):
    (home / "examples/chicago_taxi_pipeline/models").mkdir(parents=True)
    (home / "examples/chicago_taxi_pipeline/models/model.py").write_text("def run_fn(fn_args): ...\n")
    found = refusals(converted(TAXI, given("Trainer", module_file=None, run_fn="models.model.run_fn")))
    assert "chicago_taxi_pipeline/models into" in found["Trainer", "models.model.run_fn"]


def test_a_name_that_is_taken_is_refused(converted):
    converted(TAXI, project="taxi")
    with pytest.raises(UsageError, match="taken"):
        converted(TAXI, project="taxi")


def test_what_is_no_inspected_pipeline_is_refused():
    with pytest.raises(UsageError, match="no inspected pipeline"):
        read('{"components": 3}')
