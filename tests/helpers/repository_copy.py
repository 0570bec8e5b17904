"""A copy of the repository that a test may write to, and commands run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kfp_ct.project.environments import component_python
from repository import ROOT

COPIED = ("components", "kfp_ct", "pipelines", "tests", "requirements", "docs", "infra")


def make(folder: Path) -> Path:
    """Copies sources with their bytecode, tests and settings; environments and local state stay where they are."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    for path in (path for path in ROOT.iterdir() if path.is_file()):
        shutil.copy(path, folder)
    return folder


def run(root: Path, *command: str, python: str | Path = "") -> subprocess.CompletedProcess:
    """Runs `python -m …` in the copy, which is what it imports from."""
    environment = {
        **os.environ, "CT_HOME": str(root / ".ct"), "CT_COMPONENT_PYTHON": str(component_python()),
        "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    line = [str(python or sys.executable), "-m", *command]
    return subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True, check=False)
