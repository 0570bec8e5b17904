"""`ct settings`: where each comes from; what Terraform made becomes a settings file, or nothing is written."""

import json

import pytest
import yaml

from cli_runner import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.project import terraform_output

SETTINGS = {
    "vertex": {
        "project": "acme-ct-test",
        "location": "europe-west1",
        "bucket": "gs://acme-ct-test-ct-pipelines",
        "service_account": "ct-pipelines@acme-ct-test.iam.gserviceaccount.com",
        "encryption_key": "",
    },
    "parameters": {"serving_root": "gs://acme-ct-test-ct-serving/models"},
}


def outputs(settings):
    return json.dumps(
        {"settings": {"sensitive": False, "type": "object", "value": settings}, "registry": {"value": "r"}}
    )


@pytest.fixture
def home(tmp_path):
    """A workspace with one project."""
    folder = tmp_path / "pipelines/flights/settings"
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text("pipeline: pipelines.training\n")
    (tmp_path / "outputs.json").write_text(outputs(SETTINGS))
    return tmp_path


def run(home, *arguments):
    return ct(home, "settings", "from-terraform", "flights", "--from", str(home / "outputs.json"), *arguments, cwd=home)


def test_a_file_is_written_that_extends_the_shared_one(home):
    done = run(home)
    file = home / "pipelines/flights/settings/vertex.yaml"

    assert done.code == 0, done.err
    assert yaml.safe_load(file.read_text()) == {
        "extends": "base.yaml",
        "vertex": {name: value for name, value in SETTINGS["vertex"].items() if value},
        "parameters": SETTINGS["parameters"],
    }
    assert file.read_text().startswith("# yaml-language-server: $schema=../../schemas/training.json\n")
    assert "ct compile flights --settings vertex" in done.out


def test_a_file_that_is_there_stays(home):
    file = home / "pipelines/flights/settings/vertex.yaml"
    file.write_text("mine")

    assert run(home).code == 2
    assert file.read_text() == "mine"
    assert run(home, "--force").code == 0
    assert file.read_text() != "mine"


def test_settings_to_extend_have_to_be_there(home):
    done = run(home, "--base", "shared.yaml")

    assert done.code == 2
    assert "--base FILE" in done.err


SERVING = {
    "target": "vertex",
    "timeout_seconds": 2400,
    "vertex": {"project": "acme-ct-test", "location": "europe-west1", "endpoint": "ct-flights", "encryption_key": ""},
}
SERVED = {**SETTINGS, "parameters": {**SETTINGS["parameters"], "serving": SERVING}}


def test_with_the_lock_of_a_build_the_endpoint_is_what_serves(home):
    image = f"r.example/serving@sha256:{'a' * 64}"
    (home / "outputs.json").write_text(outputs(SERVED))
    (home / "images.lock").write_text(f"images: {{serving: '{image}'}}\n")
    file = home / "pipelines/flights/settings/vertex.yaml"

    assert "--lock images.lock adds the endpoint" in run(home).out
    assert "serving" not in yaml.safe_load(file.read_text())["parameters"]
    done = run(home, "--force", "--lock", str(home / "images.lock"))
    assert (done.code, "--lock" in done.out) == (0, False)
    written = yaml.safe_load(file.read_text())["parameters"]["serving"]
    section = {name: value for name, value in SERVING["vertex"].items() if value} | {"image": image}
    assert written == {**SERVING, "vertex": section}


def test_a_lock_without_the_service_and_an_endpoint_that_does_not_fit_are_refused(home):
    (home / "images.lock").write_text("images: {components: 'r.example/c@sha256:1'}\n")
    with pytest.raises(UsageError, match="names no image serving by digest"):
        terraform_output.serving_image(home / "images.lock")
    wrong = {"parameters": {"serving": {**SERVING, "vertex": {**SERVING["vertex"], "zone": "b"}}}}
    with pytest.raises(UsageError, match="zone"):
        terraform_output.read(outputs({**SETTINGS, **wrong}), "r.example/serving@sha256:1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "this is no JSON"),
        ("[]", "there is no output called settings"),
        ("{}", "there is no output called settings"),
        ('{"settings": {"value": null}}', "there is no output called settings"),
        (outputs({"parameters": {}}), "project"),
        (outputs({"vertex": {**SETTINGS["vertex"], "bucket": "acme"}}), "gs://BUCKET"),
        (outputs({"vertex": {**SETTINGS["vertex"], "zone": "b"}}), "zone"),
    ],
)
def test_what_is_no_output_of_the_modules_is_refused(text, found):
    with pytest.raises(UsageError, match=found):
        terraform_output.read(text)


def test_each_setting_says_which_file_it_comes_from(tmp_path):
    lines = ct(
        tmp_path, "settings", "show", "flights", "--settings", "prod", "--set", "gates.confidence=0.9"
    ).out.splitlines()

    assert "gates.min_gain = 0.001  (prod.yaml)" in lines
    assert "gates.metric = 'auc'  (base.yaml)" in lines
    assert "gates.confidence = 0.9  (--set)" in lines
    assert "sources.flights.columns.year = 'INTEGER'  (data.yaml)" in lines
    assert "kubernetes.all.timeout = '6h'  (prod.yaml)" in lines


def test_a_secret_is_not_shown(home):
    base = home / "pipelines/flights/settings/base.yaml"
    base.write_text(
        "pipeline: pipelines.training\nparameters: {registry_uri: 'postgresql://ct:hunter2secret@db/mlflow'}\n"
    )

    for options in ([], ["--json"]):
        done = ct(home, "settings", "show", "flights", "--settings", "base", *options, cwd=home)
        assert done.code == 0, done.err
        assert "hunter2secret" not in done.out
        assert "@db/mlflow" in done.out
