"""Publishing a folder so that nobody ever sees half of it."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from kfp_ct.base.errors import ConfigurationError

PARTIAL = ".partial"


def publish(source: Path, destination: Path, added: Mapping[str, Path] | None = None) -> None:
    """Copies a folder beside its destination under a hidden name, flushes it to disk and renames it.

    The destination must not exist. Files of `added` (path below the destination to file) are copied into it.
    A killed copy leaves only a hidden folder, which `sweep` removes.
    """
    partial = destination.with_name(f".{destination.name}.{os.getpid()}{PARTIAL}")
    shutil.rmtree(partial, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(source, partial)
        for name, path in (added or {}).items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial / name)
        _flush(partial)
        partial.rename(destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _flush_entry(destination.parent)


def withdraw(folder: Path) -> None:
    """Removes a folder: it vanishes at once by a rename, its content after that."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}{PARTIAL}")
    folder.rename(partial)
    shutil.rmtree(partial, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Removes what killed publishers left behind; call it only while no other publisher works there."""
    for partial in parent.glob(f".*{PARTIAL}"):
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file; the kernel releases it even if this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def writing_to(what: str, path: Path) -> Iterator[None]:
    """Turns an operating-system error (no permission, disk full) into one that says where and how to fix it.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{what} {path} cannot be written: {error.strerror or error}\n"
            "expected: a folder this user may write to, with free space\n"
            "fix: correct its permissions, or name another folder in the settings file"
        ) from error


def _flush(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        _flush_entry(path)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
