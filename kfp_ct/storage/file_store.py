"""The files of this machine (and of mounted volumes) as objects; names are absolute paths."""

import contextlib
import datetime
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.storage import problems
from kfp_ct.storage.objects import ABSENT, Content, StoredObject

PARTIAL, LOCK = ".partial", ".lock"


class FileStore:
    """Files: written under a hidden name and renamed, so that nobody sees half of one."""

    def stat(self, name: str) -> StoredObject | None:
        """Looks at a file; None if there is none."""
        return _object(Path(name)) if Path(name).is_file() else None

    def list(self, folder: str, deep: bool = True) -> list[StoredObject]:
        """Returns the files below a folder, sorted by name; unfinished ones and its own locks are left out."""
        paths = Path(folder).glob("**/*" if deep else "*")
        found = [path for path in paths if path.is_file() and not _is_own(path.name)]
        return sorted(map(_object, found), key=lambda each: each.name)

    def read(self, name: str) -> Content | None:
        """Reads a file; None if there is none."""
        try:
            with Path(name).open("rb") as file:
                return Content(file.read(), _version(os.fstat(file.fileno())))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def download(self, item: StoredObject, path: Path) -> None:
        """Copies a file."""
        try:
            shutil.copyfile(item.name, path)
            unchanged = _version(Path(item.name).stat()) == item.version
        except FileNotFoundError as error:
            raise problems.overwritten(item.uri) from error
        if not unchanged:
            raise problems.overwritten(item.uri)

    def write(self, name: str, data: bytes | Path, expected: str | None) -> bool:
        """Writes a file whole or not at all, if it is as expected."""
        path = Path(name)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
        with _writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if isinstance(data, Path):
                    shutil.copyfile(data, partial)
                else:
                    partial.write_bytes(data)
                return _publish(partial, path, expected)
            finally:
                partial.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Removes a file; it is no error that there is none."""
        with _writable(Path(name)):
            Path(name).unlink(missing_ok=True)


def _is_own(name: str) -> bool:
    return name.endswith(PARTIAL) or (name.startswith(".") and name.endswith(LOCK))


def _publish(partial: Path, path: Path, expected: str | None) -> bool:
    if expected is None:
        partial.replace(path)
        return True
    with path.with_name(f".{path.name}{LOCK}").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (_version(path.stat()) if path.is_file() else ABSENT) != expected:
            return False
        partial.replace(path)
    return True


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or error}\n"
            "expected: a folder this user may write to, with free space\n"
            "fix: correct its permissions, or name another place in the settings file"
        ) from error


def _object(path: Path) -> StoredObject:
    status = path.stat()
    modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC)
    version = _version(status)
    return StoredObject(str(path), "", str(path), status.st_size, version, version, modified)


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
