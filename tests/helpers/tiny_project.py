"""A repository with a pipeline of one quick step, whose git history, data and chance a test decides."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from kfp_ct.champions.locations import Location, open_location
from kfp_ct.components.register import work as registering
from kfp_ct.project.workspace import Workspace
from release_artifacts import make_run
from repository import ROOT
from small_repositories import write

FILES = {
    "pipelines/__init__.py": "",
    "pipelines/tiny/__init__.py": "",
    "pipelines/tiny/factor.py": "FACTOR = 2.0\n",
    "pipelines/training.py": """
        from kfp import dsl


        @dsl.component(base_image="components")
        def train(sources: dict, data_version: str, noisy: bool, metrics: dsl.Output[dsl.Metrics]):
            import os

            from pipelines.tiny.factor import FACTOR

            with open(sources["table"]["uri"]) as file:
                total = sum(float(line) for line in file)
            metrics.log_metric("auc", total * FACTOR)
            if noisy:
                metrics.log_metric("loss", int.from_bytes(os.urandom(6), "big") / 2**48)


        @dsl.pipeline(name="training")
        def training(
            sources: dict, registry_uri: str, serving_root: str, data_version: str = "", lineage: dict = {},
            noisy: bool = False,
        ):
            train(sources=sources, data_version=data_version, noisy=noisy)
        """,
    "pipelines/tiny/settings/local.yaml": """
        pipeline: pipelines.training
        parameters:
          sources: {table: {uri: data/table.csv}}
          registry_uri: sqlite:///${CT_HOME}/registry/mlflow.db
          serving_root: ${CT_HOME}/serving
        """,
    ".gitignore": "data\n__pycache__\nhome\n",
}


@dataclasses.dataclass(frozen=True)
class Tiny:
    """The repository and its local state."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def place(self) -> Location:
        return open_location(Workspace(self.root, self.home))

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=ada", "-c", "user.email=ada@x.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def ct(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CT_HOME": str(self.home)}
        environment.setdefault("CT_COMPONENT_PYTHON", str(ROOT / ".venv-components" / "bin" / "python"))
        command = [sys.executable, "-m", "kfp_ct.cli.main", *arguments]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def train(self, content: str, *options: str) -> str:
        """Runs the pipeline, and registers a model as its run would; returns the version."""
        done = self.ct("run", "tiny", "--json", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.register(content, {"run": json.loads(done.stdout)["id"]})

    def register(self, content: str, lineage: dict) -> str:
        made = make_run(self.root / "home" / "made" / content, content)
        candidate = dataclasses.replace(made.candidate(content), lineage=lineage)
        return registering.register(candidate, self.place.registry_uri, "tiny").version


def make(folder: Path) -> Tiny:
    """Makes the repository, with one commit."""
    tiny = Tiny(write(folder / "repository", FILES))
    write(tiny.root, {"data/table.csv": "1\n2\n3\n"})
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "first")):
        tiny.git(*arguments)
    return tiny
