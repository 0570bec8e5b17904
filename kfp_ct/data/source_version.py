"""Versions of data sources: KFP's cache keys know the path of a file, not what is in it."""

import glob
import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.storage import locations, search


def source_version(sources: Mapping[str, Any], root: Path, options: Mapping[str, Any] | None = None) -> str:
    """Returns a content hash of every file the sources name; of an object its store knows one.

    Of a BigQuery table it is the time of its last change. What a query reads there can change without a trace, so its
    version is another one every time.

    Args:
        sources: Table name to a URI or an object with `uri`, as the ingest component takes them.
        root: Folder that relative paths start from.
        options: Options of the ingest component.

    Raises:
        ComponentError: An object store or BigQuery does not let them be looked at.
    """
    options = options or {}
    if options.get("engine") == "bigquery":
        return uuid.uuid4().hex[:16]
    digest, access = hashlib.sha256(), options.get("bigquery", {})
    for name in sorted(sources):
        source = sources[name]
        if isinstance(source, dict) and source.get("bigquery"):
            digest.update(_bigquery_version(str(source["bigquery"]), access))
            continue
        uri = source.get("uri", "") if isinstance(source, dict) else str(source)
        digest.update(f"{name}\0{uri}\0".encode())
        if locations.is_remote(uri):
            digest.update(_objects_version(uri))
            continue
        for path in files(uri, root):
            digest.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _bigquery_version(reference: str, access: Mapping[str, Any]) -> bytes:
    # Imported here: the client takes a second to import, and most projects read no table.
    from kfp_ct.base import setting_problems
    from kfp_ct.cloud import bigquery
    from kfp_ct.cloud.bigquery_access import Access

    if reference.endswith(".sql"):
        return uuid.uuid4().bytes
    allowed = setting_problems.read(Access, access, "bigquery")
    return f"{reference}\0{bigquery.modified(reference, allowed)}".encode()


def _objects_version(uri: str) -> bytes:
    return "\0".join(f"{each.name}\0{each.content}" for each in search.find(uri)).encode()


def files(uri: str, root: Path) -> list[Path]:
    """Returns the local files behind a URI: a file, a folder with all below it, or a glob; relative to `root`."""
    path = root / uri
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    # Path.glob takes no absolute patterns, and sources may be anywhere.
    return sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())  # noqa: PTH207
