"""Runs dsl.importer: an artifact that exists already becomes an input of the pipeline."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from kfp import dsl

from kfp_ct.base.errors import RunFailedError
from kfp_ct.local import executor_io, placeholders


def imported(importer: Mapping[str, Any], inputs: Mapping[str, Any], facts: Mapping[str, str]) -> dsl.Artifact:
    """Returns the artifact.

    Args:
        importer: The importer's specification.
        inputs: The task's input parameters.
        facts: What placeholders such as `.workspace_path` stand for.

    Raises:
        RunFailedError: It is to be copied into the workspace, and is no file or folder of this machine.
    """
    where = importer["artifactUri"]
    uri = str(inputs.get("uri", "") if "runtimeParameter" in where else where.get("constant", ""))
    made = executor_io.artifact(
        {
            "name": "artifact",
            "uri": uri,
            "type": importer.get("typeSchema", {}),
            "metadata": placeholders.fill_constant(importer.get("metadata", {}), inputs, facts),
        }
    )
    if importer.get("downloadToWorkspace"):
        made.custom_path = str(_copied(uri, Path(facts[".workspace_path"])))
    return made


def _copied(uri: str, workspace: Path) -> Path:
    source = Path(urlparse(uri).path)
    if urlparse(uri).scheme not in ("", "file") or not source.exists():
        raise RunFailedError(f"{uri} cannot be copied into the workspace\nexpected: a file or a folder of this machine")
    # By its whole path: two importers may import files of one name.
    target = workspace / ".artifacts" / source.absolute().relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
    return target
