"""Objects behind the URIs that users write: an object, a glob or a folder."""

import re
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base import globs
from kfp_ct.storage import locations, storage
from kfp_ct.storage.objects import StoredObject

_MAGIC = re.compile(r"[*?\[]")


def find(uri: str) -> list[StoredObject]:
    """Returns the objects behind the URI of an object store, sorted by name; none if there are none.

    Args:
        uri: An object, a glob (`**` descends) or a folder, read with all folders below it. Names that start with a dot
            or an underscore are left out of folders, as Spark and Hive mark unfinished files.

    Raises:
        ConfigurationError: The URI names no bucket, or reading it is not allowed.
    """
    _, _, pattern = locations.split(uri)
    store, _ = storage.store(uri)
    magic = _MAGIC.search(pattern)
    if not magic and pattern.rstrip("/") == pattern != "" and (exact := store.stat(pattern)):
        return [exact]
    folder = pattern[: magic.start()].rpartition("/")[0] if magic else pattern
    return [each for each in store.list(folder) if _matches(pattern, each.name)]


def is_behind(uri: str, bucket: str, name: str) -> bool:
    """Says whether an object is one that `find` finds behind a URI, without asking the store.

    Raises:
        ConfigurationError: The URI names no bucket.
    """
    _, wanted, pattern = locations.split(uri)
    return bucket == wanted and _matches(pattern, name)


def download(objects: Sequence[StoredObject], folder: Path) -> list[Path]:
    """Copies objects below a folder, each under its own name in a folder of its own.

    Raises:
        DataError: An object is not there any more, or was overwritten.
    """
    targets = [folder / f"{number:05d}" / each.file_name for number, each in enumerate(objects)]
    storage.download(zip(objects, targets, strict=True))
    return targets


def _matches(pattern: str, name: str) -> bool:
    if name.endswith("/"):
        return False
    if _MAGIC.search(pattern):
        return bool(globs.expression(pattern).fullmatch(name))
    folder = f"{pattern.rstrip('/')}/" if pattern.rstrip("/") else ""
    return name == pattern or (name.startswith(folder) and _is_data(name[len(folder) :]))


def _is_data(relative: str) -> bool:
    return not any(part.startswith((".", "_")) for part in relative.split("/"))
