"""Hands artifacts on through an object store, as KFP's launcher does: containers see no folder of this machine.

Before a task what it reads is fetched from the store into its container; after it what it left goes back there. Copies
stay in the folder of artifacts, for the report and the cache.
"""

import dataclasses
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from kfp_ct.base.errors import RunFailedError
from kfp_ct.storage import locations, storage

_FOLDER_MODE = 0o755


@dataclasses.dataclass(frozen=True)
class Handover:
    """Where artifacts are handed on.

    Attributes:
        root: Folder in an object store.
        artifacts: The folder of artifacts on this machine; what lies there has the same name below `root`.
    """

    root: str
    artifacts: Path

    def bring(self, container: Any, folder: Path, uris: Sequence[str]) -> None:
        """Puts into a container that has not begun what its task reads, and the task's own folder.

        Args:
            container: The container.
            folder: The task's folder.
            uris: Its input artifacts; of those that lie in a store by themselves the task reads there.

        Raises:
            CtError: The store does not answer, or an artifact is not there.
        """
        with tempfile.TemporaryDirectory(prefix="ct-handover-") as fetched, tempfile.TemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                archive.add(folder, str(folder).lstrip("/"), filter=_owned)
                for number, path in enumerate(Path(uri) for uri in uris if not locations.is_remote(uri)):
                    self._fetch(path, Path(fetched, str(number)))
                    archive.add(Path(fetched, str(number)), str(path).lstrip("/"), filter=_owned)
            file.seek(0)
            container.put_archive("/", file)

    def keep(self, container: Any, folder: Path) -> None:
        """Takes what a task left out of its container into the store.

        Raises:
            CtError: The store does not answer.
        """
        with tempfile.TemporaryFile() as file:
            for chunk in container.get_archive(str(folder))[0]:
                file.write(chunk)
            _unpack(file, folder)
        storage.upload_folder(folder, self._uri(folder))

    def _fetch(self, path: Path, to: Path) -> None:
        uri = self._uri(path)
        found = storage.stat(uri)
        items = [(found, to)] if found else list(_below(uri, to))
        if not items and path.exists():  # made by a run that handed on by folder
            self._upload(path, uri)
            return self._fetch(path, to) if any(path.rglob("*")) else to.mkdir()
        if not items:
            raise RunFailedError(
                f"the artifact {uri} is not there\nexpected: what the step before left there\n"
                "fix: run with --no-cache, and see who removes objects there"
            )
        storage.download(items)
        return None

    def _upload(self, path: Path, uri: str) -> None:
        if path.is_file():
            storage.write(uri, path)
        else:
            storage.upload_folder(path, uri)

    def _uri(self, path: Path) -> str:
        if not path.is_relative_to(self.artifacts):
            raise RunFailedError(
                f"the artifact {path} is on this machine only\nexpected: one of a step, or one in an object store\n"
                "fix: import it from s3:// or gs://, or run without --pipeline-root"
            )
        return locations.join(self.root, path.relative_to(self.artifacts).as_posix())


def _below(uri: str, to: Path) -> Iterator[tuple[Any, Path]]:
    name = locations.split(uri)[2]
    for each in storage.list_folder(uri):
        yield each, to / each.name.removeprefix(name).lstrip("/")


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Gives a file to the user whom tasks run as."""
    entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), "", ""
    if entry.isdir():
        entry.mode = _FOLDER_MODE
    return entry


def _unpack(file: IO[bytes], folder: Path) -> None:
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        archive.extractall(folder.parent, filter="data")
