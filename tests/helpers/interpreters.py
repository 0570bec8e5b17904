"""The Pythons that tests start processes with: warm by default, real ones with `pytest --cold`."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import warm_python
from repository import ROOT

# This process's own, whatever `sys.executable` is while tests run: for what is measured, such as memory.
REAL = sys.executable
COMPONENT_MODULES = (
    "kfp.dsl.executor_main", "pyarrow.parquet", "tensorflow", "tensorflow_data_validation",
    "tensorflow_transform.beam", "tensorflow_model_analysis", "keras", "keras_tuner", "uvicorn",
    "starlette.applications",
)  # fmt: skip
AUTHOR_MODULES = (
    "kfp.compiler", "kfp.local.orchestrator.task_executor", "kfp.local.pipeline_orchestrator",
    "kfp.local.subprocess_task_handler", "kfp.local.docker_task_handler", "mlflow.tracking", "sqlalchemy", "fastapi",
    "uvicorn", "google.cloud.storage", "google.cloud.pubsub_v1", "google.cloud.aiplatform", "pydantic",
    "jinja2", "typer", "rich.progress", "rich.live",
)  # fmt: skip


def component_interpreter(shared: Path, keras: str = "0") -> Path:
    """Returns a warm stand-in for the component environment's Python, one for all who share the folder.

    Args:
        shared: The folder that all processes of a test run have in common.
        keras: Value of TF_USE_LEGACY_KERAS; "1" for Keras 2.
    """
    python = Path(REAL) if importlib.util.find_spec("tensorflow") else _component_python()
    folder = shared / "warm" / ("components" if keras == "0" else "components-keras-2")
    return warm_python.interpreter(folder, python, COMPONENT_MODULES, keras)


def author_interpreter(shared: Path) -> Path:
    """Returns a warm stand-in for this environment's Python, the author's."""
    return warm_python.interpreter(shared / "warm" / "author", Path(REAL), AUTHOR_MODULES)


def started_by(python: Path) -> Iterator[None]:
    """Lets this process start its Pythons so, as long as a fixture lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        yield


def _component_python() -> Path:
    override = os.environ.get("CT_COMPONENT_PYTHON")
    return Path(override) if override else ROOT / ".venv-components" / "bin" / "python"
