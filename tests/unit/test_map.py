"""The rules of the map: who may import whom, what stands where, that nothing is left unexamined."""

import ast
import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from repository import ROOT

PACKAGES = ("components", "kfp_ct", "pipelines")
COMPONENTS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_there_is_something_to_check():
    assert len(COMPONENTS) >= 10
    assert len(SOURCES) > 40


def test_packages_import_only_whom_they_may(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    code = lint_imports(no_cache=True)
    said = capsys.readouterr().out
    assert code == 0, said
    assert "0 broken" in said


def test_import_rules_are_for_every_component():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert [each["modules"] for each in contracts if each["type"] == "independence"] == [["kfp_ct.components.*"]]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_is_an_interface_and_its_work(component):
    folder = ROOT / "components" / component
    assert (folder / "work.py").is_file()
    assert list((ROOT / "tests" / "components" / component).glob("test_*.py"))
    for path in folder.glob("*.py"):
        if path.name != "component.py":
            assert not [name for name in imports(path) if name.split(".")[0] == "kfp"], path


@pytest.mark.parametrize("pipeline", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda path: path.name)
def test_pipelines_import_only_interfaces(pipeline):
    others = {name for name in imports(pipeline) if name.split(".")[0] in PACKAGES}
    assert [name for name in others if ".component." not in name] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inits_are_empty_and_files_small(path):
    if path.name == "__init__.py":
        assert path.read_text() == ""
    assert len(path.read_text().splitlines()) <= 350
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    # A pipeline's function is a list of its steps; splitting it would hide the DAG.
    if path.name != "component.py" and path.parent.name != "pipelines":
        assert [f.name for f in functions if f.end_lineno - f.lineno >= 60] == []


def test_tests_lie_as_the_code_lies():
    tests = ROOT / "tests"
    assert not list(tests.rglob("__init__.py"))
    files = sorted(tests.rglob("test_*.py"))
    # Without packages a test file's name is its module's.
    assert len({path.name for path in files}) == len(files)
    assert {path.relative_to(tests).parts[0] for path in files} == {"unit", "components", "system"}


def test_every_test_file_has_tests():
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        own = [n.name for n in nodes if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
        inherited = [n.name for n in nodes if isinstance(n, ast.ClassDef) and n.name.startswith("Test") and n.bases]
        assert own or inherited, f"{path.name} tests nothing"


def test_files_of_known_cost_are_there():
    known = json.loads((ROOT / "tests" / "costs.json").read_text())
    assert known
    assert [name for name in known if not (ROOT / name).is_file()] == []


def readme_row(component, line="…"):
    """A component's row in the README's table: inputs, settings that have a default in brackets, and outputs."""
    spec = getattr(importlib.import_module(f"kfp_ct.components.{component}.component"), component).component_spec
    needed = ", ".join(f"`{name}`" for name, each in spec.inputs.items() if not each.optional)
    optional = ", ".join(name for name, each in spec.inputs.items() if each.optional)
    returned = {"Boolean": "a bool", "String": "a text"}
    gives = ", ".join(returned[each.type] if name == "Output" else f"`{name}`" for name, each in spec.outputs.items())
    takes = f"{needed} ({optional})" if optional else needed
    return f"| [`{component}`](components/{component}/component.py) | {takes} | {gives} | {line} |"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_has_its_row_in_the_readme_as_its_interface_has_it(component):
    start = readme_row(component).split(" | ")[0]
    rows = [row for row in (ROOT / "README.md").read_text().splitlines() if row.startswith(f"{start} |")]
    line = rows[0].split(" | ", 3)[-1].removesuffix(" |") if rows else "one line on what it does"
    assert line.strip("| ")
    assert rows == [readme_row(component, line)], f"README.md, the row to have is:\n{readme_row(component, line)}"


def test_the_readme_has_no_row_of_a_component_that_is_not_there():
    rows = re.findall(r"^\| \[`(\w+)`\]\(components/", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == COMPONENTS


def test_the_library_speaks_of_no_machine():
    for path in [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        text = path.read_text()
        assert "/home/" not in text, path
        assert "/root/" not in text, path
