"""Versions of data sources: kfp's cache keys know the path of a file, not what is in it."""

import glob
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import gcs
from components.errors import ComponentError
from ct.errors import UsageError


def data_version(sources: Mapping[str, Any], root: Path) -> str:
    """Returns a content hash of every file the sources name; of an object at gs:// Cloud Storage knows it.

    Args:
        sources: Table name to a URI or an object with `uri`, as the ingest component takes them.
        root: Folder that relative paths start from.

    Raises:
        UsageError: Cloud Storage does not let its objects be listed.
    """
    digest = hashlib.sha256()
    for name in sorted(sources):
        source = sources[name]
        uri = source.get("uri", "") if isinstance(source, dict) else str(source)
        digest.update(f"{name}\0{uri}\0".encode())
        if gcs.is_uri(uri):
            digest.update(_objects_version(uri))
            continue
        for path in _files(uri, root):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _objects_version(uri: str) -> bytes:
    try:
        return "\0".join(f"{each.name}\0{each.content}" for each in gcs.find(uri)).encode()
    except ComponentError as error:
        raise UsageError(str(error)) from error


def _files(uri: str, root: Path) -> list[Path]:
    path = root / uri
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    # Path.glob takes no absolute patterns, and sources may be anywhere.
    return sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207
