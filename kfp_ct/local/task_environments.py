"""Environments of tasks that install packages: one for each set of requirements, made by uv and kept in the home."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from kfp_ct.base import redaction
from kfp_ct.base.errors import UsageError
from kfp_ct.package import processes
from kfp_ct.package.package import Package
from kfp_ct.package.processes import Installation

_FOLDER = "environments"
_COMPLETE = "complete"  # a file that stands in an environment when all is installed
_SHOWN_LINES = 6


def prepare(compiled: Package, home: Path, python: Path) -> dict[Installation, Path]:
    """Makes the environments that a package's tasks need, as far as they are not there yet; returns their Pythons.

    Args:
        compiled: A package.
        home: Folder of all local state.
        python: The interpreter they are of.

    Raises:
        UsageError: One cannot be made; says why.
    """
    return {each: _environment(each, home, python) for each in processes.installations(compiled)}


def _environment(wanted: Installation, home: Path, python: Path) -> Path:
    known = hashlib.sha256(json.dumps([wanted, str(python.resolve())]).encode()).hexdigest()[:16]
    folder = home / _FOLDER / known
    made = folder / "bin" / "python"
    with _alone(folder):
        if not (folder / _COMPLETE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _make(wanted, folder, python)
            (folder / _COMPLETE).write_text("\n".join(" ".join(each) for each in wanted))
    return made


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time make an environment."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(wanted: Installation, folder: Path, python: Path) -> None:
    names = ", ".join(processes.names(wanted))
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")]))
    if uv is None:
        raise UsageError(f"tasks install {names}, and uv, which does that here, is not installed\nfix: pip install uv")
    _run([uv, "venv", "--quiet", "--python", str(python), str(folder)], names)
    installed = list(wanted)
    if "kfp" not in processes.names(wanted):
        # Their image would have it.
        installed.append((f"kfp=={metadata.version('kfp')}", "--no-deps"))
    for arguments in installed:
        trusted = [{"--trusted-host": "--allow-insecure-host"}.get(each, each) for each in arguments]
        _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *trusted], names)


def _run(command: Sequence[str], names: str) -> None:
    environment: Mapping[str, str] = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = [line.strip() for line in redaction.redact(done.stderr).splitlines() if line.strip()][-_SHOWN_LINES:]
        reason = "\n".join(said) or f"uv ended with exit code {done.returncode}"
        raise UsageError(
            f"the packages that tasks install cannot be installed here: {names}\n{reason}\n"
            "expected: a package index that can be reached and has them for this machine's Python"
        )
