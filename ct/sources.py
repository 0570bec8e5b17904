"""Versions of data sources: kfp's cache keys know the path of a file, not what is in it."""

import glob
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def data_version(sources: Mapping[str, Any], root: Path) -> str:
    """Returns a content hash of every local file the sources name; other URIs count by name only.

    Args:
        sources: Table name to a URI or an object with `uri`, as the ingest component takes them.
        root: Folder that relative paths start from.
    """
    digest = hashlib.sha256()
    for name in sorted(sources):
        source = sources[name]
        uri = source.get("uri", "") if isinstance(source, dict) else str(source)
        digest.update(f"{name}\0{uri}\0".encode())
        for path in _files(uri, root):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _files(uri: str, root: Path) -> list[Path]:
    path = root / uri
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    # Path.glob takes no absolute patterns, and sources may be anywhere.
    return sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207
