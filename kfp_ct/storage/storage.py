"""The one way to what lies at a path, `file://`, `s3://bucket/key` or `gs://bucket/key`.

No lock and no rename is relied on: an object is written whole or not at all, and on a condition where two may write.
"""

import importlib.util
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.storage import locations
from kfp_ct.storage.file_store import FileStore
from kfp_ct.storage.gcs_store import GcsStore
from kfp_ct.storage.objects import ABSENT, Content, Store, StoredObject
from kfp_ct.storage.obstore_store import ObstoreStore

# Transfers at once: each waits for the network most of the time.
PARALLEL = 4


def store(uri: str) -> tuple[Store, str]:
    """Returns what holds a URI's object, and the object's name there.

    Raises:
        ConfigurationError: The URI names no bucket, or is of a kind that is not supported.
    """
    if not locations.is_remote(uri):
        return FileStore(), str(locations.local_path(uri))
    scheme, bucket, name = locations.split(uri)
    if scheme == locations.GS and importlib.util.find_spec("google.cloud.storage"):
        return GcsStore(bucket), name
    return ObstoreStore(scheme, bucket), name


def stat(uri: str) -> StoredObject | None:
    """Looks at an object; None if there is none."""
    found, name = store(uri)
    return found.stat(name)


def read(uri: str) -> Content | None:
    """Reads an object with its version; None if there is none."""
    found, name = store(uri)
    return found.read(name)


def read_text(uri: str, what: str) -> str:
    """Reads a text object.

    Raises:
        ConfigurationError: There is no such object, or reading it is not allowed.
    """
    content = read(uri)
    if content is None:
        raise ConfigurationError(f"no {what} at {uri}\nexpected: an object that can be read\nfix: correct the URI")
    return content.data.decode()


def list_folder(uri: str, deep: bool = True) -> list[StoredObject]:
    """Returns the objects below a folder, sorted by name; its own ones only if not `deep`."""
    found, name = store(uri)
    return found.list(name, deep)


def write(uri: str, data: bytes | Path) -> None:
    """Writes an object (or uploads a file) whole or not at all, over what is there."""
    found, name = store(uri)
    found.write(name, data, None)


def create(uri: str, data: bytes) -> bool:
    """Writes an object if there is none; says whether it did.

    Where the store's answer was lost, it says no of what it did itself: read what is there before giving up.
    """
    found, name = store(uri)
    return found.write(name, data, ABSENT)


def replace(uri: str, data: bytes, version: str) -> bool:
    """Writes an object if it still has this version (of `read`); says whether it did, as `create` does."""
    found, name = store(uri)
    return found.write(name, data, version)


def delete(uri: str) -> None:
    """Removes an object; it is no error that there is none."""
    found, name = store(uri)
    found.delete(name)


def upload_folder(folder: Path, uri: str, last: str = "") -> None:
    """Uploads all files below a folder; one of them, if there is such a file, after all others."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    at_last = [path for path in files if path.relative_to(folder).as_posix() == last]
    for batch in ([path for path in files if path not in at_last], at_last):
        with ThreadPoolExecutor(PARALLEL) as pool:
            names = [path.relative_to(folder).as_posix() for path in batch]
            list(pool.map(lambda name: write(locations.join(uri, name), folder / name), names))


def download(items: Iterable[tuple[StoredObject, Path]]) -> None:
    """Copies objects to files, a few at a time; folders are made.

    Raises:
        DataError: An object is not there any more, or was overwritten.
    """
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(_download, items))


def _download(pair: tuple[StoredObject, Path]) -> None:
    item, path = pair
    path.parent.mkdir(parents=True, exist_ok=True)
    found, _ = store(item.uri)
    found.download(item, path)
