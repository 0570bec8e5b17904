"""Runs a step with the user's code, which lies in an object store or on a volume under the hash of its content.

`python -m kfp_ct.data.code_package URI COMMAND…` is what a task of a cluster runs in front of its own command, as TFX
hands a module file to its executors: the image has the library only, so that an edit of a module builds no image.
"""

import hashlib
import io
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base import python_path
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError, reported
from kfp_ct.storage import storage

# The input of a task that names its package, and what its package is called.
PARAMETER = "user_code"
MODULE = "kfp_ct.data.code_package"
SUFFIX = ".zip"
_NAME = re.compile(r"(?:.*/)?(?P<digest>[0-9a-f]{64})\.zip")
_KILLED = 128


def name_of(content: bytes) -> str:
    """Returns the name of a package: the SHA-256 of its content."""
    return hashlib.sha256(content).hexdigest() + SUFFIX


def run(uri: str, command: Sequence[str]) -> int:
    """Runs a command in a folder of its own that holds the user's code, first on the path of imports.

    Args:
        uri: The package; empty for a task that has no code of the user.
        command: The step's own command.

    Returns:
        The command's exit code.

    Raises:
        ComponentError: The package is missing, cannot be read, or is not the one that was uploaded.
    """
    if not uri:
        return subprocess.call(list(command))
    with tempfile.TemporaryDirectory(prefix="ct-code-") as folder:
        unpack(fetch(uri), Path(folder))
        process = subprocess.Popen(list(command), cwd=folder, env={**python_path.environment(folder), "PWD": folder})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: process.send_signal(received))
        code = process.wait()
    return code if code >= 0 else _KILLED - code


def fetch(uri: str) -> bytes:
    """Returns a package that is what its name says.

    Raises:
        ConfigurationError: The URI is none of a package, or what is there cannot be read.
        DataError: There is no such package, or it has other content.
    """
    named = _NAME.fullmatch(uri)
    if named is None:
        raise ConfigurationError(
            f"{uri} is no package of user code\nexpected: …/<SHA-256>{SUFFIX}, as `ct compile` names it\n"
            f"fix: leave the input {PARAMETER} as the compiled package has it"
        )
    try:
        content = storage.read(uri)
    except ComponentError as error:
        raise type(error)(f"the user's code cannot be fetched: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"the user's code {uri} cannot be read: {error.strerror}\nexpected: a file that this user may read\n"
            "fix: correct its permissions, or those of the volume"
        ) from error
    if content is None:
        raise DataError(
            f"the user's code {uri} is not there\n"
            "expected: what `ct deploy` and `ct compile --upload-code` leave there\n"
            "fix: deploy the commit of this run again; keep packages as long as versions name them"
        )
    if hashlib.sha256(content.data).hexdigest() != named["digest"]:
        raise DataError(
            f"the user's code {uri} is not what was uploaded: its SHA-256 is another than its name\n"
            "expected: an object that nobody changes\nfix: delete it, then deploy the commit of this run again"
        )
    return content.data


def unpack(content: bytes, folder: Path) -> None:
    """Unpacks a package into a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


def main(arguments: Sequence[str]) -> int:
    """Runs a step; returns its exit code."""
    uri, *command = arguments
    with reported():
        return run(uri, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
