"""Runs the `ct` command as a person would, and looks at what it left."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from kfp_ct.project.environments import component_python
from repository import ROOT

# Three real months, the third held out, two passes: small, and still a model worth serving.
SMALL = ("--window-end", "2013-04-01", "--set", "hyperparameters.epochs=2", "--set", "hyperparameters.batch_size=512")


@dataclasses.dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def record(self) -> dict:
        return json.loads(self.out)

    def task(self, name: str) -> dict:
        return next(task for task in self.record["tasks"] if task["name"] == name)

    def states(self) -> dict[str, str]:
        return {task["name"]: task["state"] for task in self.record["tasks"]}

    def summary(self, task: str, artifact: str) -> dict:
        return json.loads((Path(self.task(task)["artifacts"][artifact]["uri"]) / "summary.json").read_text())


def command_line(*arguments: str) -> list[str]:
    """Returns the command line of `ct ARGUMENTS`."""
    return [sys.executable, "-m", "kfp_ct.cli.main", *arguments]


def ct(home: Path, *arguments: str, root: Path = ROOT) -> Done:
    environment = {**os.environ, "CT_HOME": str(home)}
    if root != ROOT:  # a copy has no environments of its own
        environment |= {"CT_COMPONENT_PYTHON": str(component_python(ROOT)), "PYTHONPATH": str(root)}
    result = subprocess.run(command_line(*arguments), cwd=root, env=environment, capture_output=True, text=True)
    assert "Traceback" not in result.stderr + result.stdout, result.stderr + result.stdout
    return Done(result.returncode, result.stdout, result.stderr)


def run(home: Path, *arguments: str, root: Path = ROOT) -> Done:
    return ct(home, "run", "flights", "--json", *arguments, root=root)
