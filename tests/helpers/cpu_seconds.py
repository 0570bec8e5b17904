"""What tests take of CPU, where run.py asks for it: in a test's own process, those it waits for, and in tasks.

Nobody waits for tasks: their server forks a keeper for each and is killed in the end. It notes what they took.
"""

import json
import os
from pathlib import Path

import warm_python

# See kfp_ct/local/zygote.py.
TASKS = "CT_TASK_COSTS"


def ask_tasks() -> None:
    """Has the tasks that this process starts note what they take, where run.py asks for it."""
    if usage := os.environ.get(warm_python.USAGE):
        os.environ[TASKS] = f"{usage}.tasks-{os.getpid()}"


def taken() -> float:
    """Returns the CPU seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])


def note(test: str, before: float) -> None:
    """Adds a line for a test that began when `before` was taken; processes of a warm Python add their own."""
    if usage := os.environ.get(warm_python.USAGE):
        seconds = taken() - before + of_tasks(Path(os.environ[TASKS]))
        with Path(usage).open("a") as file:
            file.write(json.dumps({"test": test, "seconds": seconds}) + "\n")


def of_tasks(noted: Path) -> float:
    """Returns what tasks have noted since this was last asked."""
    read = noted.with_name(f"{noted.name}.read")
    try:
        noted.rename(read)
    except FileNotFoundError:  # no task has ended since
        return 0.0
    return sum(json.loads(line)["cpu"] for line in read.read_text().splitlines())
