"""The command of a task as a process or a container can take it: which Python, and arguments of any length."""

import dataclasses
import os
import secrets
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from kfp_ct.base.errors import RunFailedError
from kfp_ct.local import zygote

# Linux takes no argument longer than 128 KiB.
_LONGEST = (128 << 10) - 1
# The shell script of a Python component; the element after it is the component's source.
_SCRIPT = '"$program_path/ephemeral_component.py"'


@dataclasses.dataclass(frozen=True)
class TaskCommand:
    """What a task runs.

    Attributes:
        elements: Command and arguments.
        variables: Its environment variables.
        image: The image its package names.
        folder: Its own folder, where its outputs go.
        has_program: Its component names a program; otherwise the image's own one runs.
        imminent: It will run for certain: its environment may be prepared while it starts.
        inputs: URIs of its input artifacts.
    """

    elements: Sequence[str]
    variables: Mapping[str, str]
    image: str
    folder: Path
    has_program: bool = True
    imminent: bool = True
    inputs: Sequence[str] = ()


def is_python_component(elements: Sequence[str]) -> bool:
    """Whether kfp's executor runs: what is else can be run in its own image only."""
    return any("kfp.dsl.executor_main" in each for each in elements)


def with_python(elements: Sequence[str], python: str) -> list[str]:
    """Returns a command that runs another Python; the component's source and its arguments stay as they are."""
    last = next((number for number, each in enumerate(elements) if _SCRIPT in each), len(elements) - 1)
    return [each.replace("python3", python) if number <= last else each for number, each in enumerate(elements)]


def with_short_arguments(task: TaskCommand, python: str) -> TaskCommand:
    """Returns a command whose arguments are short enough for the system: long ones go by files.

    Args:
        task: The command.
        python: What `python3` stands for where arguments are read from files, with `{script}` for the script.

    Raises:
        RunFailedError: The element that is too long is none of kfp's executor.
    """
    long = [number for number, each in enumerate(task.elements) if len(os.fsencode(each)) > _LONGEST]
    if not long:
        return task
    first = list(task.elements).index("--executor_input") if "--executor_input" in task.elements else len(task.elements)
    if min(long) <= first or not is_python_component(task.elements):
        size = len(os.fsencode(task.elements[long[0]]))
        raise RunFailedError(
            f"its command has an argument of {size:,} bytes\nexpected: at most {_LONGEST:,}, which Linux sets\n"
            "fix: hand it over as an artifact"
        )
    task.folder.mkdir(parents=True, exist_ok=True)
    mark = f"ct-argument-{secrets.token_hex(8)}:"
    elements = list(task.elements)
    for number in long:
        file = task.folder / f"argument-{number}"
        file.write_text(elements[number])
        elements[number] = f"{mark}{file}"
    script = shutil.copy(zygote.__file__, task.folder / "with_argument_files.py")
    return dataclasses.replace(
        task,
        elements=with_python(elements, python.format(script=shlex.quote(str(script)))),
        variables={**task.variables, zygote.MARK_VARIABLE: mark},
    )
