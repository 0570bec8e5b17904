"""How much a run's model goes by each of its inputs: measured when asked for, kept beside the run's report.

Two methods: by permutation, what the metric loses without an input; by integrated gradients, how far an input moves
the output.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base import json_process, python_path
from kfp_ct.base.errors import UsageError
from kfp_ct.data import layouts
from kfp_ct.project.environments import require_component_python
from kfp_ct.project.workspace import Workspace
from kfp_ct.report import content

if TYPE_CHECKING:
    from kfp_ct.runs.record import Run

PERMUTATION, GRADIENTS = "permutation", "integrated gradients"
FILES = {PERMUTATION: "importance.json", GRADIENTS: "attribution.json"}
# At most so many rows; a gradient is taken at every one of many points between a row and the mean.
ROWS = {PERMUTATION: 20_000, GRADIENTS: 2_000}
_MODULE = "kfp_ct.components.evaluate.importance_process"
# Component, its output, and what of it is read.
_NEEDED = {
    "model": ("train", "model", layouts.SERVING_MODEL),
    "examples": ("ingest", "examples", layouts.MANIFEST),
    "schema": ("schema", "schema", "schema.pbtxt"),
    "evaluation": ("evaluate", "evaluation", layouts.SUMMARY),
}


def measure(workspace: Workspace, run: "Run", method: str = PERMUTATION) -> dict[str, Any]:
    """Measures the inputs of a run's model on its eval split, and keeps what was found.

    Args:
        workspace: The repository.
        run: The run; its artifacts must be there still.
        method: How.

    Raises:
        UsageError: An artifact is not there, or was never made.
        CtError: The model cannot be asked.
    """
    paths = {name: _path(run, *where) for name, where in _NEEDED.items()}
    summary = layouts.read_json(paths["evaluation"] / layouts.SUMMARY)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "eval_config.pbtxt"
        config.write_text(summary["eval_config"]["text"])
        evaluated = {
            "model_path": str(paths["model"]), "examples_path": str(paths["examples"]),
            "schema_file": str(paths["schema"] / "schema.pbtxt"), "eval_config": str(config), "gates": summary["gates"],
        }  # fmt: skip
        found = _ask(workspace, {"evaluated": evaluated, "folder": folder, "most": ROWS[method], "method": method})
    layouts.write_json(workspace.runs / run.id / FILES[method], found)
    return found


def read(folder: Path, method: str = PERMUTATION) -> Mapping[str, Any]:
    """Returns what was measured of a run's model by a method; empty if nothing was."""
    path = folder / FILES[method]
    return dict(layouts.read_json(path)) if path.is_file() else {}


def _path(run: "Run", component: str, artifact: str, file: str) -> Path:
    task = content.task_of(run, component)
    uri = task.artifacts.get(artifact, {}).get("uri", "") if task else ""
    if not uri or not (Path(uri) / file).exists():
        raise UsageError(
            f"the {artifact} of run {run.id} is not there: no {Path(uri) / file if uri else file}\n"
            "expected: model, examples, schema and evaluation of the run\nfix: run the pipeline again"
        )
    return Path(uri)


def _ask(workspace: Workspace, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Asks in the component environment, where TensorFlow is."""
    command = [str(require_component_python(workspace.root)), "-W", "ignore", "-m", _MODULE]
    environment = {**python_path.environment(workspace.root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    failure = "the importance of inputs could not be measured"
    return json_process.ask(command, asked, failure, cwd=workspace.root, env=environment)
