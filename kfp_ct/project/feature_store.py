"""A project's features, read and written in the component environment, where DuckDB is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import json_process, python_path
from kfp_ct.base.errors import UsageError
from kfp_ct.project import settings
from kfp_ct.project.environments import require_component_python
from kfp_ct.project.workspace import Workspace

_MODULE = "kfp_ct.components.ingest.features_process"


def online_file(workspace: Workspace, project: str) -> Path:
    """Returns where a project's online features lie if nothing else is said."""
    return workspace.home / "features" / f"{project}.db"


def ask(workspace: Workspace, project: str, environment: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Asks about the features that a project's settings name.

    Args:
        workspace: The repository.
        project: The project.
        environment: Its settings: they say where the sources are, and name the features.yaml.
        asked: What to `do`, and with what.

    Returns:
        `views`: what came of it, by view.

    Raises:
        UsageError: The settings name no features.
        CtError: Sources, definitions or what was asked do not fit.
    """
    parameters = settings.load(workspace, project, environment, {}).parameters
    features = (parameters.get("ingest_options") or {}).get("features") or {}
    if not features.get("file"):
        raise UsageError(
            f"the settings {environment} of {project} name no features\n"
            "expected: ingest_options.features, with file and timestamp (docs/feature-store.md)\n"
            "fix: name the project's features.yaml there, or choose other --settings"
        )
    given = {"sources": parameters.get("sources") or {}, "max_bad_fraction": parameters.get("max_bad_fraction", 0.02),
             "file": features["file"], **asked}  # fmt: skip
    command = [str(require_component_python(workspace.root)), "-W", "ignore", "-m", _MODULE]
    failure = f"the features of {project} could not be read"
    env = python_path.environment(workspace.root)
    return json_process.ask(command, given, failure, cwd=workspace.root, env=env)
