"""A project's own tests (`kfp_ct.testing.model_tests`), run and remembered with the sources that they ran on."""

import dataclasses
import hashlib
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

from kfp_ct.base import python_path
from kfp_ct.base.errors import UsageError
from kfp_ct.data import layouts
from kfp_ct.project.environments import require_component_python
from kfp_ct.project.workspace import Workspace

_SOURCES = (".py", ".sql", ".pbtxt", ".yaml")


@dataclasses.dataclass(frozen=True)
class OwnTests:
    """What tests came to: their names, and when."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    at: str

    def all_passed(self, *parts: str) -> bool:
        """Whether there are tests with these parts in their names, and all of them passed."""
        named = [name for name in (*self.passed, *self.failed) if any(part in name for part in parts)]
        return bool(named) and not set(named) & set(self.failed)


def last(workspace: Workspace, project: str) -> OwnTests | None:
    """Returns what the tests came to when they ran last; None if that was on other sources, or never."""
    path = _file(workspace, project)
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    if kept["sources"] != _sources(workspace, project):
        return None
    return OwnTests(tuple(kept["passed"]), tuple(kept["failed"]), kept["at"])


def run(workspace: Workspace, project: str) -> OwnTests:
    """Runs a project's tests in the component environment, and remembers what they came to.

    Raises:
        UsageError: It has none.
    """
    from kfp_ct.runs import record

    folder = workspace.root / "tests" / "components" / project
    if not list(folder.glob("test_*.py")):
        raise UsageError(
            f"{project} has no tests in {folder}\nexpected: a class of kfp_ct.testing.model_tests\n"
            "fix: see what `ct new` writes for a project"
        )
    path = _file(workspace, project)
    path.parent.mkdir(parents=True, exist_ok=True)
    report = path.with_name(f"{project}.xml")
    report.unlink(missing_ok=True)
    command = [
        str(require_component_python(workspace.root)),
        "-m",
        "pytest",
        "-q",
        f"--junit-xml={report}",
        str(folder),
    ]
    environment = python_path.environment(workspace.root)
    done = subprocess.run(command, cwd=workspace.root, env=environment, capture_output=True, text=True, check=False)
    if not report.is_file():
        raise UsageError(f"the tests of {project} did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}".rstrip())
    passed, failed = read(report)
    found = OwnTests(passed, failed, record.now())
    layouts.write_json(path, {**dataclasses.asdict(found), "sources": _sources(workspace, project)})
    return found


def read(report: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the tests that passed and of those that did not, skipped ones in neither."""
    passed, failed = [], []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314
        tags = {child.tag for child in case}
        if tags & {"failure", "error"}:
            failed.append(case.attrib["name"])
        elif "skipped" not in tags:
            passed.append(case.attrib["name"])
    return tuple(passed), tuple(failed)


def _file(workspace: Workspace, project: str) -> Path:
    return workspace.home / "scorecards" / project / "tests.json"


def _sources(workspace: Workspace, project: str) -> str:
    """Names the sources of a project and of its tests."""
    digest = hashlib.sha256()
    for folder in (workspace.root / "pipelines" / project, workspace.root / "tests" / "components" / project):
        for path in sorted(each for each in folder.rglob("*") if each.suffix in _SOURCES and each.is_file()):
            digest.update(f"{path.relative_to(workspace.root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
