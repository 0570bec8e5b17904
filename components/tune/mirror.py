"""A search's project in an object store: Keras Tuner works in a folder, and after every step the changes are copied.

The oracle's state names the trials, so it is copied after their files; where a kill comes between, `project.repair`
makes both agree.
"""

import shutil
from pathlib import Path

from kfp_ct.base import task_log
from kfp_ct.storage import locations, storage

_STATE = ("oracle.json", "tuner0.json")


class Mirror:
    """A local folder and its copy.

    Args:
        local: The folder that the search works in.
        uri: Where its copy lasts: a path, s3:// or gs://. A path is worked in as it is, empty is no copy.
    """

    def __init__(self, local: Path, uri: str) -> None:
        self._uri = uri if locations.is_remote(uri) else ""
        self.folder = local if self._uri or not uri else locations.local_path(uri)
        self._known: dict[str, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Copies what an earlier search left."""
        if not self._uri:
            return
        found = storage.list_folder(self._uri)
        storage.download((each, self.folder / each.uri.removeprefix(f"{self._uri}/")) for each in found)
        self._known = self._files()
        if found:
            task_log.progress(f"the state of an earlier search is in {self._uri}")

    def publish(self) -> None:
        """Copies what has changed since the last time."""
        if not self._uri:
            return
        now = self._files()
        changed = [name for name, state in now.items() if self._known.get(name) != state]
        for name in sorted(changed, key=lambda name: Path(name).name in _STATE):
            storage.write(locations.join(self._uri, name), self.folder / name)
        self._known = now

    def remove(self) -> None:
        """Removes the state of a search that has ended, the oracle's first: without it the rest is no search."""
        if self._uri:
            for each in sorted(storage.list_folder(self._uri), key=lambda each: each.file_name not in _STATE):
                storage.delete(each.uri)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.name.endswith(".partial"):
                status = path.stat()
                found[path.relative_to(self.folder).as_posix()] = (status.st_size, status.st_mtime_ns)
        return found
