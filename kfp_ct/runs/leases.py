"""What open runs use of the local state, so that nothing they need is deleted beside them.

    <home>/.retention.lock     shared while a run looks into the cache, exclusive while files are taken away
    <home>/leases/<name>       held by an open run; its lines are the paths that it uses

The kernel lets go of both however a process ends: a lease that nobody holds is one of a run that was killed.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

_FOLDER, _LOCK = "leases", ".retention.lock"


class Lease:
    """Paths that a run uses, for as long as it holds them."""

    def __init__(self, home: Path) -> None:
        """Prepares.

        Args:
            home: Folder of all local state.
        """
        self._home = home
        self._file: IO[str] | None = None

    @contextlib.contextmanager
    def holding(self, *paths: Path) -> Iterator[None]:
        """Holds paths, and those that are added, while the body runs."""
        path = self._home / _FOLDER / f"{os.getpid()}-{secrets.token_hex(6)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            with self.looking():
                self._file = stack.enter_context(path.open("a"))
                fcntl.flock(self._file, fcntl.LOCK_EX)
                self.add(paths)
            stack.callback(path.unlink, missing_ok=True)
            yield

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Keeps what is there from being deleted while the body looks for it and adds it."""
        with _locked(self._home / _LOCK, fcntl.LOCK_SH):
            yield

    def add(self, paths: Iterable[Path | str]) -> None:
        """Holds further paths; call it while `looking`, in which they were found."""
        assert self._file is not None  # noqa: S101 - only what holds a lease adds to it
        self._file.writelines(f"{path}\n" for path in paths)
        self._file.flush()


@contextlib.contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Keeps every run from looking for what the body takes away."""
    with _locked(home / _LOCK, fcntl.LOCK_EX):
        yield


def held(home: Path) -> list[str] | None:
    """Returns the paths that open runs use, None where none is open; leases of killed runs go.

    Call it while holding `exclusive`.
    """
    found: list[str] | None = None
    for path in sorted((home / _FOLDER).glob("*")):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = [*(found or []), *file.read().splitlines()]
            else:
                path.unlink(missing_ok=True)
    return found


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, kind)
        yield
