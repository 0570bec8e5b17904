"""The component environment's side of a replay: reads windows, answers their rows as the service does, monitors.

`python -m kfp_ct.replay.worker` reads one JSON object a line from standard input and answers each with one: what is
asked has a `task`, a function of `kfp_ct.replay.tasks`; the answer has `result`, or `error`.
"""

import json
import os
import sys
from typing import IO

from kfp_ct.base.errors import CtError


def serve(questions: IO[str], answers: IO[str]) -> None:
    """Answers questions until there are no more."""
    from kfp_ct.replay import tasks

    desk = tasks.Desk()
    for line in questions:
        asked = json.loads(line)
        try:
            answer = {"result": getattr(desk, asked.pop("task"))(**asked)}
        except CtError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    # Standard output is for answers; what libraries and components print goes to the log.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as own:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(sys.stdin, own)
