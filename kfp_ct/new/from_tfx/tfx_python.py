"""Runs the inspection where tfx is installed: a Python of this machine, or an image."""

import dataclasses
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.new.from_tfx import inspection

SCRIPT = Path(inspection.__file__)
_FIX = (
    "fix: name a Python that has tfx by --python, or the components image by --image; or run the script where tfx is "
    "installed and give what it prints by --inspected"
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is inspected, and where.

    Attributes:
        file: The pipeline's file.
        function: The function that makes it; empty runs the file.
        arguments: The function's, as NAME=VALUE.
        python: A Python that has tfx.
        image: An image in which `python` has it; empty runs the Python of this machine.
    """

    file: Path
    function: str
    arguments: Sequence[str]
    python: str
    image: str = ""


def inspect(asked: Asked) -> str:
    """Returns the pipeline as JSON.

    Raises:
        UsageError: There is no such file or Python, or tfx is not installed there.
        CtError: The pipeline's file fails.
    """
    if not asked.file.is_file():
        raise UsageError(f"there is no file {asked.file}\nexpected: a file that makes a TFX pipeline")
    script = ["-W", "ignore", "/inspection.py" if asked.image else str(SCRIPT), str(asked.file.absolute())]
    command = [*_python(asked), *script, *([asked.function] if asked.function else []), *asked.arguments]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no {command[0]}\n{_FIX}") from error
    if ran.returncode:
        raise _failure(asked, ran.stderr)
    return ran.stdout


def _python(asked: Asked) -> list[str]:
    if not asked.image:
        return [asked.python]
    # The pipeline's file sees its neighbours and the working directory, at their own paths, and can change nothing.
    folders = dict.fromkeys([str(asked.file.absolute().parent), str(Path.cwd())])
    mounts = [each for folder in folders for each in ("-v", f"{folder}:{folder}:ro")]
    variables = ["-e", f"HOME={Path.home()}", "-e", f"TF_USE_LEGACY_KERAS={os.environ.get('TF_USE_LEGACY_KERAS', '')}"]
    line = ["docker", "run", "--rm", "--network", "none", "-v", f"{SCRIPT}:/inspection.py:ro", *mounts, *variables]
    return [*line, "-w", str(Path.cwd()), asked.image, "python"]


def _failure(asked: Asked, stderr: str) -> CtError:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    last = lines[-1] if lines else "it ended without a word"
    if "No module named 'tfx'" in last:
        return UsageError(f"tfx is not installed in {asked.image or asked.python}\n{_FIX}")
    shown = [line for line in lines if line.startswith(("  File", "fix: "))][-2:]
    listed = "\n".join([last, *(line.strip() for line in shown if line.strip() != last)])
    return CtError(f"{asked.file} makes no pipeline that can be inspected: {listed}")
