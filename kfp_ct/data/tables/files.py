"""From the URIs that users write to local files that DuckDB reads."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import layouts
from kfp_ct.data.tables import spans
from kfp_ct.storage import locations, search
from kfp_ct.storage.objects import StoredObject

CSV, PARQUET, JSONL, TFRECORD = "csv", "parquet", "jsonl", "tfrecord"
FORMATS = (CSV, PARQUET, JSONL, TFRECORD)
# Longest suffix first: .csv.gz must not be taken for .gz.
SUFFIXES = {
    ".csv.gz": CSV, ".csv.zip": CSV, ".csv": CSV, ".tsv.gz": CSV, ".tsv": CSV, ".parquet": PARQUET, ".pq": PARQUET,
    ".jsonl.gz": JSONL, ".ndjson.gz": JSONL, ".jsonl": JSONL, ".ndjson": JSONL,
}  # fmt: skip
# What holds one file of any of them.
COMPRESSED = (".gz", ".bz2", ".xz")
# What files are that are none of them, by their first bytes.
_MAGIC = {
    b"PK\x03\x04": "a zip archive, or an Excel workbook", b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PAR1": "a Parquet file", b"SQLite format 3\0": "an SQLite database", b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz", b"\x1f\x8b": "compressed by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard", b"%PDF": "a PDF", b"ORC": "an ORC file", b"Obj\x01": "an Avro file",
}  # fmt: skip
_KINDS = {
    (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"): "is a workbook: save its sheet as CSV (UTF-8)",
    (".zst", ".lz4", ".7z", ".rar", ".tar", ".tgz"): "is compressed or packed: unpack it, or compress it by gzip",
    (".sqlite", ".sqlite3", ".db"): "is a database: export the table as CSV or Parquet",
    (".orc", ".avro", ".feather", ".arrow", ".pkl"): "is in a format that is not read: write it as Parquet",
    (".json",): "may be one JSON document: write JSON Lines (an object a line), or say format: jsonl if it is that",
    (".txt", ".dat", ".data"): "may be CSV: say format: csv if it is",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file: where DuckDB reads it, and what users know it as (they differ for an unpacked archive)."""

    path: Path
    known_as: str
    skipped: int = 0  # lines of the user's file that are before those of this one
    origin: Path | None = None  # the file that was found, if this one was made of it
    member: str = ""  # of the archive that it was unpacked from


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A file of a source, and its name below the folder that the URI names before its first wildcard or field."""

    path: Path
    name: str


def find(source: str, uri: str, folder: Path, wanted: str = "") -> list[FoundFile]:
    """Returns the files behind a URI, sorted by name; those of an object store are copied to a folder of their own.

    Args:
        source: The source's name, for messages.
        uri: A file, a glob (`**` descends) or a folder, read with all folders below it; `file://`, `s3://` or `gs://`
            may be in front.
        folder: Scratch folder.
        wanted: Which spans of a URI with `{SPAN}` or a date; see `kfp_ct.data.tables.spans`.

    Raises:
        ConfigurationError: The URI is of a kind that is not read.
        DataError: Nothing is there.
    """
    if spans.has_fields(uri) and not Path(uri).exists():
        return _of_spans(source, uri, folder, wanted)
    if locations.is_remote(uri):
        return _fetch(source, uri, folder / f"{source}-objects")
    found = matches(local_path(source, uri))
    if not found:
        raise _not_found(source, uri, f"a file, glob or folder; relative paths start at {Path.cwd()}")
    root = fixed_folder(local_path(source, uri))
    return [FoundFile(file, file.relative_to(root).as_posix()) for file in found]


def fixed_folder(path: str) -> Path:
    """Returns the folder that a path names before its first wildcard: what is there itself is no pattern."""
    if Path(path).is_dir():
        return Path(path)
    if Path(path).exists() or member(Path(path)):
        return Path(path).parent
    return Path(_before_wildcard(path) or ".")


def _before_wildcard(path: str) -> str:
    magic = re.search(r"[*?\[{]", path)
    folder = path[: magic.start()] if magic else path
    return folder[: folder.rfind("/") + 1]


def matches(path: str) -> list[Path]:
    """Returns the files of a local path, glob or folder, sorted by name; what is there is no glob."""
    if Path(path).is_dir():
        return sorted(file for file in Path(path).rglob("*") if file.is_file() and _is_data(file.relative_to(path)))
    if Path(path).exists() or member(Path(path)):
        return [Path(path)]
    return sorted(Path(match) for match in glob(path, recursive=True) if Path(match).is_file())  # noqa: PTH207


def member(path: Path) -> tuple[Path, str] | None:
    """Returns archive and member of a path that goes on within a zip archive."""
    archive = next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)
    return (archive, path.relative_to(archive).as_posix()) if archive else None


def format_of(source: str, files: Sequence[Path], declared: str = "") -> str:
    """Returns the format of a source's files: as declared, else by their names.

    Raises:
        ConfigurationError: The names do not tell, or tell different formats.
    """
    if declared:
        return declared
    formats = {format_by_name(file) for file in files}
    if len(formats) == 1 and (only := formats.pop()):
        return only
    odd = next((file for file in files if not format_by_name(file)), files[0])
    what = next((text for suffixes, text in _KINDS.items() if odd.suffix.lower() in suffixes), "")
    raise ConfigurationError(
        f"source {source}: the format cannot be told from the name {odd.name}{f', which {what}' if what else ''}\n"
        f"expected: files of one format, named *tfrecord*, {', '.join(SUFFIXES)}\n"
        f"fix: narrow the URI with a glob (*.csv), or say sources.{source}.format: one of {', '.join(FORMATS)}"
    )


def require_names(source: str, known_as: str, names: Sequence[str]) -> None:
    """Raises `DataError` where a file has two columns of one name, which SQL would rename unseen."""
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if lower.count(name.lower()) > 1 or not name}):
        raise DataError(
            f"source {source}: {known_as} names columns twice or not at all: {', '.join(map(repr, twice[:10]))}\n"
            "expected: a name of its own for every column, upper and lower case being the same\nfix: rename them"
        )


def require_columns(source: str, lacking: str, found: Sequence[str], declared: Mapping[str, str]) -> None:
    """Raises `DataError` where a column that the settings declare is not found; `lacking` goes before its name."""
    if missing := [column for column in declared if column not in found]:
        raise DataError(
            f"source {source}: {lacking} {', '.join(missing)}\n"
            f"expected: every column of sources.{source}.columns; present are {', '.join(found)}\n"
            f"fix: correct the file, or sources.{source}.columns"
        )


def what_is(path: Path) -> str:
    """Says what a file is by its first bytes, if it is no text; else empty."""
    with path.open("rb") as file:
        start = file.read(16)
    return next((what for magic, what in _MAGIC.items() if start.startswith(magic)), "")


def _of_spans(source: str, uri: str, folder: Path, wanted: str) -> list[FoundFile]:
    """Returns the files of the spans that are wanted, and says which those are."""
    if locations.is_remote(uri):
        objects = {each.uri: each for each in search.find(spans.to_glob(uri))}
        chosen = spans.choose(uri, list(objects), wanted)
        found = _downloaded(
            [objects[file] for each in chosen for file in each.files], uri, folder / f"{source}-objects"
        )
    else:
        path = local_path(source, uri)
        there = [str(file) for file in matches(spans.to_glob(path))]
        chosen = spans.choose(path, there, wanted)
        root = _before_wildcard(path)
        found = [FoundFile(Path(file), file[len(root) :]) for each in chosen for file in each.files]
    listed = ", ".join(f"{each.span}" + f" (version {each.version})" * bool(each.version) for each in chosen)
    task_log.progress(f"{source}: span {listed}")
    return found


def _fetch(source: str, uri: str, folder: Path) -> list[FoundFile]:
    objects = search.find(uri)
    if not objects:
        raise _not_found(source, uri, "an object, glob or folder in the bucket")
    return _downloaded(objects, uri, folder)


def _downloaded(objects: Sequence[StoredObject], uri: str, folder: Path) -> list[FoundFile]:
    exact = len(objects) == 1 and objects[0].uri == uri
    root = _before_wildcard(uri) if exact or re.search(r"[*?\[{]", uri) else f"{uri.rstrip('/')}/"
    paths = search.download(objects, folder)
    return [FoundFile(path, each.uri[len(root) :]) for path, each in zip(paths, objects, strict=True)]


def _not_found(source: str, uri: str, expected: str) -> DataError:
    return DataError(
        f"source {source}: there is no file at {uri}\nexpected: {expected}\n"
        f"fix: correct sources.{source} in the settings file, or put the data there"
    )


def local_path(source: str, uri: str) -> str:
    """Returns the path of a URI.

    Raises:
        ConfigurationError: The URI is of a kind that is not read.
    """
    # A single letter before the colon is a drive, not a scheme.
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", uri):
        return str(Path(uri).expanduser())
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    raise ConfigurationError(
        f"source {source}: {uri} cannot be read, {parts.scheme} is not supported\n"
        "expected: a file, glob or folder, local, at s3:// or at gs://\n"
        f"fix: copy the data here and name the copy in sources.{source}"
    )


def _is_data(relative: Path) -> bool:
    """Leaves out markers and unfinished files, as Spark and Hive name them (_SUCCESS, .part.crc)."""
    return not any(part.startswith((".", "_")) for part in relative.parts)


def format_by_name(file: Path) -> str:
    """Returns the format that a name tells; empty for none."""
    # TFX writes data_tfrecord-00000-of-00001.gz, others examples.tfrecord: no suffix tells.
    if layouts.is_tfrecord(file):
        return TFRECORD
    name = file.name.lower()
    name = name.removesuffix(next((suffix for suffix in COMPRESSED[1:] if name.endswith(suffix)), ""))
    return next((format for suffix, format in SUFFIXES.items() if name.endswith(suffix)), "")
