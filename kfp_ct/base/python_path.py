"""Environments of processes in which Python imports from further folders."""

import os
from pathlib import Path


def environment(*folders: str | Path) -> dict[str, str]:
    """Returns this process's environment, in which Python looks into some folders before those of `PYTHONPATH`.

    It keeps no compiled form of modules there: they are edited between two processes (see bytecode.py).
    """
    further = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join([*map(str, folders), *filter(None, [further])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
