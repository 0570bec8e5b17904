"""Packages of kfp's own components, compiled in a test, and their runs: by `ct run` and by plain kfp.local."""

import json
import subprocess
import sys
from pathlib import Path

from kfp import compiler, dsl

from cli_runner import ct

IMAGE = "python:3.11"


def component(function):
    """Returns a component as kfp makes it, that installs nothing."""
    return dsl.component(base_image=IMAGE, install_kfp_package=False)(function)


def compiled(pipeline, path: Path) -> Path:
    """Compiles a pipeline; returns the package's file."""
    compiler.Compiler().compile(pipeline, str(path))
    return path


def run(home: Path, file: Path, *options: str):
    """Runs `ct run FILE`; returns what the command printed and the run's record."""
    done = ct(home, "run", str(file), "--json", *options)
    return done, json.loads(done.out) if done.out.strip() else {}


def states(record) -> dict[str, str]:
    """Returns the states of a run's tasks."""
    return {task["name"]: task["state"] for task in record["tasks"]}


PLAIN = """
import json, sys, pathlib
from google.protobuf import json_format
from kfp import dsl, local
from kfp.local import pipeline_orchestrator
from kfp.pipeline_spec import pipeline_spec_pb2
import yaml
root, arguments = pathlib.Path(sys.argv[1]), json.loads(sys.argv[3])
document = next(iter(yaml.safe_load_all(pathlib.Path(sys.argv[2]).read_text())))
spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root / "artifacts"),
           workspace_root=str(root / "workspace"))
try:
    outputs = pipeline_orchestrator.run_local_pipeline(spec, arguments)
    plain = {name: value for name, value in outputs.items() if not isinstance(value, (dsl.Artifact, list))
             or isinstance(value, list) and not any(isinstance(each, dsl.Artifact) for each in value)}
    answer = {"state": "SUCCEEDED", "outputs": plain}
except Exception as error:
    answer = {"state": "FAILED", "outputs": {}, "error": f"{type(error).__name__}: {error}"}
pathlib.Path(sys.argv[1], "answer.json").write_text(json.dumps(answer))
"""


def plain_kfp_local(folder: Path, file: Path, **arguments) -> dict:
    """Runs a package by kfp.local alone; returns state and output parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", PLAIN, str(folder), str(file), json.dumps(arguments)]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads((folder / "answer.json").read_text())
