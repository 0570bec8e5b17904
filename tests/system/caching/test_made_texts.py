"""Texts that functions make, asked for in the component environment once a version of what they are made of."""

import sys

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.caching.made_texts import MadeTexts, named_files
from kfp_ct.project.workspace import Workspace
from small_repositories import write

FILES = {
    "pipelines/__init__.py": "",
    "pipelines/judging.py": "from pipelines.bounds import AUC\n\n\ndef make():\n    return AUC\n",
    "pipelines/bounds.py": "AUC = 'a'\n",
    # Notes each time that it is asked.
    "pipelines/maker.py": (
        "import json, sys\nfrom pipelines.judging import make\n"
        "open('asked', 'a').write('.')\n"
        "print(json.dumps({'text': make()} if make() != 'bad' else {'error': 'no such\\nbound'}))\n"
    ),
}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CT_COMPONENT_PYTHON", sys.executable)
    write(tmp_path, FILES)
    return Workspace(tmp_path, tmp_path / ".ct")


def read(workspace):
    return MadeTexts(workspace).read("pipelines.maker", "pipelines.judging:make")


def test_a_function_is_called_again_once_what_it_imports_is_edited(workspace):
    assert [read(workspace), read(workspace)] == ["a", "a"]
    assert (workspace.root / "asked").read_text() == "."
    (workspace.root / "pipelines" / "bounds.py").write_text("AUC = 'bb'\n")
    assert read(workspace) == "bb"
    assert (workspace.root / "asked").read_text() == ".."


def test_what_goes_wrong_is_said_and_not_kept(workspace):
    bounds = workspace.root / "pipelines" / "bounds.py"
    bounds.write_text("AUC = 'bad'\n")
    with pytest.raises(UsageError, match="no such; bound"):
        read(workspace)
    bounds.write_text("AUC = missing\n")
    with pytest.raises(UsageError, match=r"it cannot be called in .*: NameError: name"):
        read(workspace)
    bounds.write_text("AUC = 'good'\n")
    assert read(workspace) == "good"


def test_without_a_component_environment_functions_are_looked_for_only(workspace, monkeypatch):
    assert named_files(workspace, True).made is not None
    monkeypatch.setenv("CT_COMPONENT_PYTHON", str(workspace.root / "nowhere"))
    assert named_files(workspace, True).made is None
