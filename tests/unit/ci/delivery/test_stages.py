"""What is promoted is the file that was built and that passed the stage before; anything else is refused."""

import json
import shutil

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.ci.cloudbuild import approvals
from kfp_ct.ci.cloudbuild.approvals import Word
from kfp_ct.ci.delivery import stages
from kfp_ct.ci.delivery.stages import Stage
from kfp_ct.package import signing
from kfp_ct.project.workspace import Workspace

COMMIT = "a" * 40


@pytest.fixture
def delivered(tmp_path):
    folder = tmp_path / "bucket" / COMMIT
    folder.mkdir(parents=True)
    (folder / "package.yaml").write_text("a package\n")
    subject = {"name": "package.yaml", "digest": {"sha256": stages.digest(folder / "package.yaml")}}
    internal = {"systemSubstitutions": {"COMMIT_SHA": COMMIT}}
    statement = {"subject": [subject], "predicate": {"buildDefinition": {"internalParameters": internal}}}
    (folder / "provenance.json").write_text(json.dumps(statement))
    return folder


def passed(folder, stage="test", run="wait", package=""):
    return stages.record(str(folder), Stage(stage, package or stages.digest(folder / "package.yaml"), "local", run))


def fetch(folder, after="test", commit=COMMIT):
    return stages.fetch(str(folder), folder.parent.parent / "fetched", commit, after)


def test_a_package_that_has_passed_is_fetched_as_it_was_built(delivered, tmp_path):
    passed(delivered)
    made = fetch(delivered)
    assert made == stages.digest(delivered / "package.yaml") == stages.digest(tmp_path / "fetched/package.yaml")


def test_one_that_was_not_deployed_to_the_stage_before_is_refused(delivered):
    passed(delivered, "preprod")
    with pytest.raises(UsageError, match="was not deployed to test"):
        fetch(delivered)


@pytest.mark.parametrize("run", ["no-run", "run"])
def test_one_whose_run_nobody_waited_for_is_refused(delivered, run):
    passed(delivered, run=run)
    with pytest.raises(UsageError, match="no run of it was waited for"):
        fetch(delivered)
    passed(delivered, run="wait")
    assert fetch(delivered)


def test_another_package_than_the_one_that_passed_is_refused(delivered):
    built = (delivered / "package.yaml").read_text()
    (delivered / "package.yaml").write_text("another package\n")
    other = passed(delivered).package
    (delivered / "package.yaml").write_text(built)
    with pytest.raises(UsageError, match=f"test has passed with the package {other}"):
        fetch(delivered)


def test_what_was_not_delivered_has_passed_nothing(delivered):
    with pytest.raises(UsageError, match=f"has the digest {'b' * 64}, what was delivered at .* has [0-9a-f]{{64}}\n"):
        passed(delivered, package="b" * 64)
    built = stages.digest(delivered / "package.yaml")
    (delivered / "package.yaml").unlink()
    with pytest.raises(UsageError, match="has none\n"):
        passed(delivered, package=built)
    assert not (delivered / "stages").exists()


def test_a_file_that_was_changed_after_the_build_is_refused(delivered):
    passed(delivered)
    (delivered / "package.yaml").write_text("another package\n")
    with pytest.raises(UsageError, match="expected: the file that was built"):
        fetch(delivered)
    assert not (delivered.parent.parent / "fetched").exists()


def test_what_is_of_another_commit_or_of_none_is_refused(delivered, tmp_path):
    with pytest.raises(UsageError, match=r"is of the commit a+"):
        fetch(delivered, commit="c" * 40)
    with pytest.raises(UsageError, match="a red step delivers nothing"):
        stages.fetch(str(tmp_path / "bucket" / "none"), tmp_path / "x", COMMIT, "")


def test_a_stage_is_passed_once_and_by_one_package(delivered):
    first = passed(delivered)
    assert passed(delivered) == first
    (delivered / "package.yaml").write_text("another package\n")
    with pytest.raises(UsageError, match="one commit is one package"):
        passed(delivered)


@pytest.mark.parametrize("stage", ["../other/stages/test", "../../test", "."])
def test_a_stage_is_named_by_a_name_and_by_no_path(delivered, stage):
    for asked in (lambda: passed(delivered, stage), lambda: fetch(delivered, stage)):
        with pytest.raises(UsageError, match="a stage is named by a name"):
            asked()
    assert not list(delivered.parent.parent.rglob("test.json"))


def test_an_old_signed_statement_beside_a_new_one_is_refused(delivered):
    passed(delivered)
    signed = signing.envelope((delivered / "provenance.json").read_bytes(), None)
    (delivered / stages.ENVELOPE).write_text(json.dumps(signed))
    assert fetch(delivered)
    shutil.rmtree(delivered.parent.parent / "fetched")
    other = json.loads((delivered / "provenance.json").read_text()) | {"_type": "of another build"}
    for content in (json.dumps(signing.envelope(json.dumps(other).encode(), None)), "{}", "no JSON"):
        (delivered / stages.ENVELOPE).write_text(content)
        with pytest.raises(UsageError, match=r"holds another statement than|is no envelope of"):
            fetch(delivered)


def test_a_build_that_waits_is_named_by_its_id(tmp_path):
    workspace = Workspace(tmp_path, tmp_path / ".ct")
    (tmp_path / "request.json").write_text("{}")
    for name in ("../../", "..", "", "/"):
        with (
            pytest.raises(UsageError, match="named by a name"),
            approvals.answered(workspace, name, Word("APPROVED", "x")),
        ):
            raise AssertionError(name)
