"""What several test files build on, built by the first that asks: see the fixture `shared`. Nobody writes into it."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path


def made_once(shared: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Returns the folder of that name, which one process of a test run makes while the others wait.

    Args:
        shared: The folder that all processes of a test run have in common.
        name: Name of the folder in it.
        make: Fills the folder; if it fails, the next who asks begins anew.
    """
    folder, complete = shared / name, shared / f"{name}.complete"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            complete.touch()
    return folder
