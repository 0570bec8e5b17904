"""Which folder ct works on: the repository around the working directory, never where packages are installed."""

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.project import workspace

PIPELINE = "from kfp import dsl\n\n\n@dsl.pipeline\ndef training(): ...\n"


def make(root, *projects, pipeline=""):
    for project in projects:
        (root / "pipelines" / project / "settings").mkdir(parents=True)
    if pipeline:
        (root / "pipelines").mkdir(parents=True, exist_ok=True)
        (root / "pipelines" / "training.py").write_text(pipeline)
    return root


@pytest.fixture
def found(monkeypatch):
    def from_(folder):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        return workspace.find_workspace().root

    return from_


def test_it_is_the_nearest_folder_with_a_project(tmp_path, found):
    outer, inner = make(tmp_path / "outer", "a"), make(tmp_path / "outer" / "inner", "b")
    assert found(outer / "docs") == outer
    assert found(inner / "pipelines" / "b") == inner
    assert found(inner) == inner


def test_a_folder_of_components_is_not_asked_for(tmp_path, found):
    assert found(make(tmp_path / "only", "a")) == tmp_path / "only"


def test_without_a_project_it_is_the_nearest_with_a_pipeline(tmp_path, found):
    bare = make(tmp_path / "bare", pipeline=PIPELINE)
    make(bare / "tests", pipeline="def test_training(): ...\n")
    assert found(bare / "tests") == bare, "tests of pipelines hold none"
    make(tmp_path, "a")
    assert found(bare) == tmp_path, "a project says more than a pipeline"


@pytest.mark.parametrize("name", ["site-packages", "dist-packages"])
def test_where_packages_are_installed_is_none(tmp_path, found, name):
    installed = make(tmp_path / "lib" / name, "a", pipeline=PIPELINE)
    with pytest.raises(UsageError, match=r"is in no repository that ct works on\nexpected: .*\nfix: .*ct init DIR"):
        found(installed)
    make(tmp_path, "a")
    assert found(installed) == tmp_path, "an environment in a repository is in that repository"


def test_where_the_library_lies_does_not_matter(tmp_path, found):
    with pytest.raises(UsageError, match="no repository"):
        found(tmp_path)


def test_a_local_state_that_is_a_file_is_refused_and_none_yet_is_not(tmp_path, found, monkeypatch):
    found(make(tmp_path / "one", "a"))
    assert workspace.find_workspace(tmp_path / "new").home == tmp_path / "new"
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is a file\nexpected: the folder of the local state"):
        workspace.find_workspace(tmp_path / "file")
    monkeypatch.setenv("CT_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="fix: give --home \\(or CT_HOME\\) a folder"):
        workspace.find_workspace()
