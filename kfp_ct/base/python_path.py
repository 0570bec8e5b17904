"""Environments of processes in which Python imports from further folders."""

import os
from pathlib import Path


def environment(*folders: str | Path) -> dict[str, str]:
    """Returns this process's environment, in which Python looks into some folders before those of `PYTHONPATH`."""
    further = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, [further])])}
