"""Every pipeline compiles with every one of its settings to a package that a backend takes."""

import pytest
import yaml

from kfp_ct.local import run
from kfp_ct.package import package
from kfp_ct.project import settings
from kfp_ct.project.workspace import find_workspace

WORKSPACE = find_workspace()
FILES = [
    (project, path) for project in WORKSPACE.projects() for path in WORKSPACE.settings_folder(project).glob("*.yaml")
]
EXTENDED = {(project, yaml.safe_load(path.read_text()).get("extends", "")) for project, path in FILES}
# What others extend need not be whole.
SETTINGS = sorted((project, path.stem) for project, path in FILES if (project, path.name) not in EXTENDED)


@pytest.mark.parametrize(("project", "environment"), SETTINGS)
def test_it_compiles(project, environment):
    chosen = settings.load(WORKSPACE, project, environment, {})
    compiled = run.compile_project(WORKSPACE, chosen)
    assert compiled["pipelineInfo"]["name"] == chosen.pipeline_name
    assert "components" in package.logical_images(compiled)


def test_components_have_an_interface_and_a_test():
    folders = [path.parent for path in (WORKSPACE.root / "components").glob("*/component.py")]
    tests = WORKSPACE.root / "tests" / "components"
    assert [folder.name for folder in folders if not list((tests / folder.name).glob("test_*.py"))] == []
