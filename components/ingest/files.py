"""From the URIs that users write to local files that DuckDB reads."""

import dataclasses
import re
import shutil
import zipfile
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.cloud import cloud_storage
from kfp_ct.data import layouts

CSV, PARQUET, JSONL, TFRECORD = "csv", "parquet", "jsonl", "tfrecord"
FORMATS = (CSV, PARQUET, JSONL, TFRECORD)
# Longest suffix first: .csv.gz must not be taken for .gz.
SUFFIXES = {
    ".csv.gz": CSV, ".csv.zip": CSV, ".csv": CSV, ".tsv.gz": CSV, ".tsv": CSV, ".parquet": PARQUET, ".pq": PARQUET,
    ".jsonl.gz": JSONL, ".ndjson.gz": JSONL, ".jsonl": JSONL, ".ndjson": JSONL,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file: where DuckDB reads it, and what users know it as (they differ for an unpacked archive)."""

    path: Path
    known_as: str


def find(source: str, uri: str, folder: Path) -> list[Path]:
    """Returns the files behind a URI, sorted by name; those in Cloud Storage are copied to a folder of their own.

    Args:
        source: The source's name, for messages.
        uri: A file, a glob (`**` descends) or a folder, read with all folders below it; `file://` or `gs://` may be in
            front.
        folder: Scratch folder.

    Raises:
        ConfigurationError: The URI is of a kind that is not read.
        DataError: Nothing is there.
    """
    if cloud_storage.is_uri(uri):
        return _fetch(source, uri, folder / f"{source}-gs")
    path = _local_path(source, uri)
    if has_magic(path):
        found = [Path(match) for match in glob(path, recursive=True) if Path(match).is_file()]  # noqa: PTH207
    elif Path(path).is_dir():
        found = [file for file in Path(path).rglob("*") if file.is_file() and _is_data(file.relative_to(path))]
    else:
        found = [Path(path)] if Path(path).exists() else []
    if not found:
        raise _not_found(source, uri, f"a file, glob or folder; relative paths start at {Path.cwd()}")
    return sorted(found)


def format_of(source: str, files: Sequence[Path], declared: str = "") -> str:
    """Returns the format of a source's files: as declared, else by their names.

    Raises:
        ConfigurationError: The names do not tell, or tell different formats.
    """
    if declared:
        return declared
    formats = {_format_by_name(file) for file in files}
    if len(formats) == 1 and (only := formats.pop()):
        return only
    odd = next((file for file in files if not _format_by_name(file)), files[0])
    raise ConfigurationError(
        f"source {source}: the format cannot be told from the name {odd.name}\n"
        f"expected: files of one format, named *tfrecord*, {', '.join(SUFFIXES)}\n"
        f"fix: narrow the URI with a glob (*.csv), or say sources.{source}.format: one of {', '.join(FORMATS)}"
    )


def unpack(source: str, files: Sequence[Path], folder: Path) -> list[DataFile]:
    """Replaces zip archives by their CSV members, written to `folder` piece by piece."""
    unpacked: list[DataFile] = []
    for number, file in enumerate(files):
        if file.suffix == ".zip":
            unpacked += _unpack_zip(source, file, folder / f"{source}-{number:05d}")
        else:
            unpacked.append(DataFile(file.resolve(), file.name))
    return unpacked


def demand_names(source: str, known_as: str, names: Sequence[str]) -> None:
    """Raises `DataError` where a file has two columns of one name, which SQL would rename unseen."""
    lower = [name.lower() for name in names]
    if twice := sorted({name for name in names if lower.count(name.lower()) > 1 or not name}):
        raise DataError(
            f"source {source}: {known_as} names columns twice or not at all: {', '.join(map(repr, twice[:10]))}\n"
            "expected: a name of its own for every column, upper and lower case being the same\nfix: rename them"
        )


def _fetch(source: str, uri: str, folder: Path) -> list[Path]:
    objects = cloud_storage.find(uri)
    if not objects:
        raise _not_found(source, uri, "an object, glob or folder in the bucket")
    return cloud_storage.download(objects, folder)


def _not_found(source: str, uri: str, expected: str) -> DataError:
    return DataError(
        f"source {source}: there is no file at {uri}\nexpected: {expected}\n"
        f"fix: correct sources.{source} in the settings file, or put the data there"
    )


def _local_path(source: str, uri: str) -> str:
    # A single letter before the colon is a drive, not a scheme.
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", uri):
        return str(Path(uri).expanduser())
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    raise ConfigurationError(
        f"source {source}: {uri} cannot be read, {parts.scheme} is not supported\n"
        "expected: a file, glob or folder, local or at gs://\n"
        f"fix: copy the data here and name the copy in sources.{source}"
    )


def _is_data(relative: Path) -> bool:
    """Leaves out markers and unfinished files, as Spark and Hive name them (_SUCCESS, .part.crc)."""
    return not any(part.startswith((".", "_")) for part in relative.parts)


def _format_by_name(file: Path) -> str:
    # TFX writes data_tfrecord-00000-of-00001.gz, others examples.tfrecord: no suffix tells.
    if layouts.is_tfrecord(file):
        return TFRECORD
    name = file.name.lower()
    return next((format for suffix, format in SUFFIXES.items() if name.endswith(suffix)), "")


def _unpack_zip(source: str, archive: Path, folder: Path) -> list[DataFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.namelist() if m.lower().endswith((".csv", ".tsv")) and "__MACOSX" not in m]
            if not members:
                raise DataError(
                    f"source {source}: {archive} holds no CSV file\nexpected: a member named *.csv, "
                    f"not {', '.join(opened.namelist()[:5]) or 'an empty archive'}"
                )
            folder.mkdir(parents=True)
            return [_extract(opened, member, folder / f"{n:05d}.csv", archive) for n, member in enumerate(members)]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"source {source}: {archive} cannot be unpacked: {error}\nfix: fetch the file again") from error


def _extract(archive: zipfile.ZipFile, member: str, target: Path, path: Path) -> DataFile:
    with archive.open(member) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    return DataFile(target.resolve(), f"{path.name}/{member}")
