"""Makes text that DuckDB reads of archives, compressed files, other encodings and mixed line ends."""

import bz2
import codecs
import dataclasses
import gzip
import io
import itertools
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables import files
from kfp_ct.data.tables.csv_settings import Csv
from kfp_ct.data.tables.files import DataFile

_PIECE = 1 << 20
_OPENERS: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".xz": lzma.open, ".gz": gzip.open}
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_UTF8 = ("", "utf-8", "utf-8-sig", "ascii")


def unpack(source: str, found: Sequence[Path], folder: Path) -> list[DataFile]:
    """Replaces zip archives by their CSV members, and files compressed by bzip2 or xz by plain ones, in `folder`."""
    unpacked: list[DataFile] = []
    for number, file in enumerate(found):
        scratch = folder / f"{source}-{number:05d}"
        member = files.member(file)
        if file.suffix.lower() == ".zip" or member:
            unpacked += _unpack_zip(source, *(member or (file, "")), scratch)
        elif file.suffix.lower() in (".bz2", ".xz"):
            unpacked.append(_decompress(source, file, scratch))
        else:
            unpacked.append(DataFile(file.resolve(), file.name, origin=file))
    return unpacked


def as_text(source: str, found: Sequence[DataFile], folder: Path, written: Csv) -> list[DataFile]:
    """Replaces files that are not plain UTF-8 with one kind of line end, or have lines before the header.

    Raises:
        DataError: A file is no text, or not in its encoding.
    """
    return [_as_text(source, file, folder / f"{source}-text-{n:05d}", written) for n, file in enumerate(found)]


def _as_text(source: str, file: DataFile, target: Path, written: Csv) -> DataFile:
    if (what := files.what_is(file.path)) and not file.path.name.endswith(".gz"):
        raise DataError(
            f"source {source}: {file.known_as} is no text: it is {what}\n"
            "expected: CSV, Parquet, JSON Lines or TFRecord, named so, or compressed as .gz, .bz2, .xz or .csv.zip\n"
            "fix: export it as CSV (UTF-8) or Parquet, unpack it, or name it by what it is"
        )
    try:
        encoding = written.encoding or _encoding(file.path)
        plain = encoding in _UTF8 and not written.skip_rows
        if plain and not _has_mixed_line_ends(file.path):
            return file
        _rewrite(file.path, target, encoding or "utf-8-sig", written)
    except UnicodeError as error:
        raise DataError(
            f"source {source}: {file.known_as} cannot be read as {encoding or 'UTF-8'}: {error}\n"
            f"expected: text in UTF-8, or in the encoding of sources.{source}.csv: {{encoding: …}}\n"
            "fix: correct the file, or say its encoding"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(source, file.known_as, error) from error
    return dataclasses.replace(file, path=target, skipped=written.skip_rows)


def _opened(path: Path) -> Any:
    return _OPENERS.get(path.suffix, open)(path, "rb")


def _encoding(path: Path) -> str:
    """Returns what a byte order mark says; empty for none, or UTF-8's."""
    with _opened(path) as file:
        start = file.read(4)
    return next((name for bom, name in _BOMS.items() if start.startswith(bom)), "")


def _has_mixed_line_ends(path: Path) -> bool:
    """Whether lines end differently, which DuckDB's reader does not take."""
    feeds = returns = both = 0
    last = b""
    with _opened(path) as file:
        while piece := file.read(_PIECE):
            feeds += piece.count(b"\n")
            if b"\r" in piece or last == b"\r":
                returns += piece.count(b"\r")
                both += piece.count(b"\r\n") + (last == b"\r" and piece[:1] == b"\n")
            last = piece[-1:]
    return not (returns == 0 or feeds == 0 or feeds == returns == both)


def _rewrite(path: Path, target: Path, encoding: str, written: Csv) -> None:
    # A line of bad bytes is set aside later, as in any file.
    errors = "surrogateescape" if encoding in _UTF8 else "strict"
    with (
        _opened(path) as packed,
        io.TextIOWrapper(packed, encoding=encoding, errors=errors, newline="") as text,
        target.open("w", encoding="utf-8", errors=errors, newline="") as plain,
    ):
        for line in _alike(itertools.islice(text, written.skip_rows, None), written.quote):
            plain.write(line)


def _alike(lines: Iterator[str], quote: str) -> Iterator[str]:
    """Ends all lines alike; line ends within quotes stay as they are."""
    quoted = False
    for line in lines:
        quoted ^= bool(quote) and line.count(quote) % 2 == 1
        yield line if quoted else line.rstrip("\r\n") + "\n" * line.endswith(("\r", "\n"))


def _decompress(source: str, file: Path, target: Path) -> DataFile:
    try:
        with _opened(file) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, _PIECE)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _unreadable(source, file.name, error) from error
    return DataFile(target.resolve(), file.name, origin=file)


def _unpack_zip(source: str, archive: Path, member: str, folder: Path) -> list[DataFile]:
    try:
        with zipfile.ZipFile(archive) as opened:
            named = [name for name in opened.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            members = [name for name in named if fnmatchcase(name, member) or name == member] if member else named
            members = members if member else [name for name in named if name.lower().endswith((".csv", ".tsv"))]
            if not members:
                raise DataError(
                    f"source {source}: {archive} holds no {member or 'CSV file'}\nexpected: a member named "
                    f"{member or '*.csv'}, not {', '.join(named[:5]) or 'an empty archive'}\n"
                    f"fix: name one of them, as in {archive}/{(named or ['data.csv'])[0]}"
                )
            folder.mkdir(parents=True)
            return [_extract(opened, name, folder / f"{n:05d}.csv", archive) for n, name in enumerate(members)]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DataError(f"source {source}: {archive} cannot be unpacked: {error}\nfix: fetch the file again") from error


def _extract(archive: zipfile.ZipFile, member: str, target: Path, path: Path) -> DataFile:
    with archive.open(member) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, _PIECE)
    return DataFile(target.resolve(), f"{path.name}/{member}", origin=path, member=member)


def _unreadable(source: str, known_as: str, error: BaseException) -> DataError:
    return DataError(f"source {source}: {known_as} cannot be read: {error}\nfix: fetch the file again")
