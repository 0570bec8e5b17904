"""Versions of data sources: KFP's cache keys know the path of a file, not what is in it."""

import glob
import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import spans
from kfp_ct.data.tables.files import fixed_folder
from kfp_ct.storage import locations, search
from kfp_ct.storage.objects import StoredObject


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
        wanted = str(source.get("spans", "")) if isinstance(source, dict) else ""
        if isinstance(source, dict) and source.get("bigquery"):
            digest.update(_bigquery_version(str(source["bigquery"]), wanted, access))
            continue
        uri = source.get("uri", "") if isinstance(source, dict) else str(source)
        digest.update(f"{name}\0{uri}\0".encode())
        if locations.is_remote(uri):
            digest.update("\0".join(f"{each.name}\0{each.content}" for each in objects(uri, wanted)).encode())
            continue
        above = fixed_folder(str(root / uri))
        for path in files(uri, root, wanted):
            # With its folders, which may be spans or partitions.
            digest.update(path.relative_to(above).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _bigquery_version(reference: str, wanted: str, access: Mapping[str, Any]) -> bytes:
    # Imported here: the client takes a second to import, and most projects read no table.
    from kfp_ct.base import setting_problems
    from kfp_ct.cloud import bigquery
    from kfp_ct.cloud.bigquery_access import Access
    from kfp_ct.data import bigquery_shards

    if reference.endswith(".sql"):
        return uuid.uuid4().bytes
    allowed = setting_problems.read(Access, access, "bigquery")
    tables = bigquery_shards.tables(reference, wanted, allowed)
    return "\0".join(f"{table}\0{bigquery.modified(table, allowed)}" for table in tables).encode()


def objects(uri: str, wanted: str = "") -> list[StoredObject]:
    """Returns the objects behind a URI; of one with `{SPAN}` or a date those of the spans that are wanted."""
    if not spans.has_fields(uri):
        return search.find(uri)
    found = {each.uri: each for each in search.find(spans.to_glob(uri))}
    return [found[name] for name in _of_spans(uri, list(found), wanted)]


def files(uri: str, root: Path, wanted: str = "") -> list[Path]:
    """Returns the local files behind a URI: a file, a folder with all below it, or a glob; relative to `root`.

    Of a URI with `{SPAN}` or a date they are the files of the spans that are wanted.
    """
    path = root / uri
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.is_file())
    if spans.has_fields(uri) and not path.exists():
        there = [str(file) for file in _glob(spans.to_glob(str(path)))]
        return [Path(file) for file in _of_spans(str(path), there, wanted)]
    return _glob(str(path))


def _of_spans(uri: str, there: list[str], wanted: str) -> list[str]:
    """Returns the files of the spans that are wanted; none where ingest would say that there is none."""
    try:
        return [file for each in spans.choose(uri, there, wanted) for file in each.files]
    except DataError:
        return []


def _glob(pattern: str) -> list[Path]:
    # Path.glob takes no absolute patterns, and sources may be anywhere.
    return sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if p.is_file())  # noqa: PTH207
