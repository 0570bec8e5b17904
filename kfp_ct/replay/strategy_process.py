"""One strategy of a replay in a process of its own: `python -m kfp_ct.replay.strategy_process JSON`."""

import json
import sys
from pathlib import Path

from kfp_ct.base.errors import CtError
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay import replay


def main(text: str) -> int:
    """Goes through a strategy; returns the exit code."""
    asked = json.loads(text)
    workspace = Workspace(Path(asked["root"]), Path(asked["home"]))
    compare = [Path(file) for file in asked["compare"]]
    request = replay.Request(asked["project"], asked["given"], asked["parameters"], compare)
    try:
        plan, strategies = replay.read(workspace, request)
        chosen = next(each for each in strategies if each.name == asked["strategy"])
        own = replay.own_workspace(workspace, request.project)
        replay.go_through(own, request.project, (plan, chosen), lambda line: print(line, flush=True))
    except CtError as error:
        print(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
