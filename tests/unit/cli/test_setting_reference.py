"""docs/settings.md and the schemas that editors read are what the descriptions of settings say."""

import json
import re

import jsonschema
import pytest
import yaml

from kfp_ct.cli import setting_reference, setting_schemas
from kfp_ct.project import yaml_file
from kfp_ct.project.schema_line import schema_line
from repository import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*base_image:FutureWarning")
PAGE = ROOT / "docs" / "settings.md"
SCHEMAS = ROOT / "pipelines" / "schemas"
FLIGHTS = ROOT / "pipelines" / "flights"
FILES = sorted([*FLIGHTS.glob("settings/*.yaml"), FLIGHTS / "triggers.yaml", FLIGHTS / "schedules.yaml"])
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


def validator(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def mistakes(name, text):
    return [error.message for error in validator(name).iter_errors(yaml_file.parse(text))]


def test_the_reference_is_current():
    assert PAGE.read_text() == setting_reference.page(), "fix: make docs"


def test_the_schemas_are_current():
    made = dict(setting_schemas.documents(ROOT))
    assert sorted(made) == [
        "batch_prediction.json", "features.json", "model_card.json", "monitoring.json", "notices.json", "replay.json",
        "retention.json", "schedules.json", "scorecard.json", "training.json", "triggers.json",
    ]  # fmt: skip
    assert {path.name: path.read_text() for path in SCHEMAS.iterdir()} == made, "fix: make docs"


def test_every_setting_has_its_row():
    page = PAGE.read_text()
    for heading in ("gates", "infra", "tuning", "rules", "sources.NAME", "split (method: time)", "destination"):
        assert f"\n### `{heading}`\n" in page
    for setting in ("min_gain", "registry_uri", "max_loss", "cooldown", "catch_up", "encryption_key", "holdout"):
        assert re.search(rf"^\| `{setting}` \| .+ \| .+ \| .+ \|$", page, re.MULTILINE), setting
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) > 150
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_names_its_schema_and_fits_it(path):
    named = LINE.match(path.read_text())
    assert named, f"{path}: the first line names no schema"
    schema = (path.parent / named[1]).resolve()
    assert schema.parent == SCHEMAS
    assert mistakes(schema.stem, path.read_text()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("training", "parameters: {gates: {min_gian: 0.1}}", id="a misspelt gate"),
        pytest.param("training", "parameters: {gates: {confidence: 95}}", id="a share in percent"),
        pytest.param("training", "parameters: {infra: {server: docker}}", id="a pattern"),
        pytest.param("training", "parameters: {split: {method: times}}", id="a choice"),
        pytest.param("training", "parameters: {sources: {a: {columns: {x: 3}}}}", id="a type"),
        pytest.param("training", "paramters: {}", id="a misspelt section"),
        pytest.param("training", "vertex: {bucket: acme}", id="a target"),
        pytest.param("monitoring", "parameters: {rules: {max_los: 0.1}}", id="a misspelt rule"),
        pytest.param("monitoring", "parameters: {gates: {}}", id="another pipeline's"),
        pytest.param("triggers", "triggers: [{name: a, kind: new_data, min_fles: 1}]", id="a trigger's field"),
        pytest.param("triggers", "{}", id="no triggers"),
        pytest.param("schedules", "schedules: [{name: a, interval: an hour}]", id="an interval"),
    ],
)
def test_an_editor_is_told_of_a_mistake(name, text):
    assert mistakes(name, text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("extends: base.yaml", id="nothing but what it extends"),
        pytest.param("parameters: {split: {holdout: 2 months}}", id="a part of an object"),
        pytest.param("parameters: {hyperparameters: {hidden: [8, 8]}, tuning: {trials: 0}}", id="the module's own"),
        pytest.param("parameters: {sources: {a: a.csv, b: {uri: b.csv}}}", id="a source in short"),
        pytest.param("vertex: {location: europe-west1}", id="a part of a section"),
    ],
)
def test_a_layer_need_not_be_whole(text):
    assert mistakes("training", text) == []


def test_a_pipeline_of_ones_own_gets_its_schema_and_an_old_one_goes(tmp_path):
    folder = tmp_path / "pipelines"
    (folder / "schemas").mkdir(parents=True)
    (folder / "schemas" / "gone.json").write_text("{}")
    (folder / "training.py").write_text((ROOT / "pipelines" / "training.py").read_text())
    (folder / "helpers.py").write_text("")

    setting_schemas.write(tmp_path)

    assert sorted(path.name for path in (folder / "schemas").iterdir()) == [
        "features.json", "model_card.json", "notices.json", "replay.json", "retention.json", "schedules.json",
        "scorecard.json", "training.json", "triggers.json",
    ]  # fmt: skip


def test_the_line_is_a_comment_of_yaml():
    assert LINE.match(schema_line("training", 2))[1] == "../../schemas/training.json"
    assert yaml.safe_load(schema_line("triggers", 1) + "a: 1") == {"a": 1}
