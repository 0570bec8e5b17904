"""Texts that functions of the user's make, such as an EvalConfig, before a run: asked for once a version of the code.

They are made where tasks run, in the component environment; where there is none, they are looked at in the task.
"""

import json
import subprocess
from pathlib import Path

from kfp_ct.base import python_path
from kfp_ct.base.errors import UsageError
from kfp_ct.caching.task_version import SourceVersions
from kfp_ct.data import layouts
from kfp_ct.project.environments import component_python
from kfp_ct.project.named_files import NamedFiles
from kfp_ct.project.workspace import Workspace

_FOLDER = "texts"


def named_files(workspace: Workspace, is_where_tasks_run: bool) -> NamedFiles:
    """Returns what looks at the files, modules and functions that settings name.

    Args:
        workspace: The repository.
        is_where_tasks_run: Whether absolute paths, too, must be there.
    """
    made = MadeTexts(workspace).read if component_python(workspace.root).exists() else None
    return NamedFiles(workspace.root, is_where_tasks_run, made)


class MadeTexts:
    """Texts of functions, kept by what they are made of."""

    def __init__(self, workspace: Workspace) -> None:
        """Prepares.

        Args:
            workspace: The repository, which functions are imported from.
        """
        self._workspace = workspace

    def read(self, maker: str, reference: str) -> str:
        """Returns the text that a function makes.

        Args:
            maker: Module that makes it: `python -m MAKER REFERENCE` prints JSON, `text` or `error`.
            reference: The function.

        Raises:
            UsageError: It makes none; says why.
        """
        source = f"import {maker}\n\n\ndef main() -> None: ...\n"
        version = SourceVersions(self._workspace).of([source], {"function": reference})
        path = self._workspace.cache / _FOLDER / f"{version.digest}-{reference.rpartition(':')[2]}.txt"
        if path.is_file():
            return path.read_text()
        text = self._made(maker, reference)
        layouts.write_text(path, text)
        return text

    def _made(self, maker: str, reference: str) -> str:
        root = self._workspace.root
        command = [str(component_python(root)), "-W", "ignore", "-m", maker, reference]
        environment = python_path.environment(root)
        ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        try:
            answer = json.loads(ran.stdout)
        except ValueError as error:
            last = ([line for line in ran.stderr.splitlines() if line.strip()] or ["it ended without a word"])[-1]
            raise UsageError(f"it cannot be called in {Path(command[0])}: {last[:300]}") from error
        if "error" in answer:
            raise UsageError(str(answer["error"]).replace("\n", "; "))
        return str(answer["text"])
