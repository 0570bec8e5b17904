"""What the first lines of CSV files tell: the delimiter and the names of columns."""

import collections
import csv
import dataclasses
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError
from kfp_ct.data.tables.csv_settings import Csv
from kfp_ct.data.tables.files import DataFile, require_names

DELIMITERS = ",\t;|"
# Lines that the delimiter is found from.
_FIRST_LINES = 200


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the files of a source are written: groups of files that have the same columns in the same order."""

    source: str
    delimiter: str
    quote: str
    columns: list[str]
    groups: dict[tuple[str, ...], list[DataFile]]

    @property
    def files(self) -> list[DataFile]:
        """All files."""
        return [file for group in self.groups.values() for file in group]


def find(source: str, files: Sequence[DataFile], written: Csv) -> Layout:
    """Reads the lines of column names.

    Raises:
        DataError: A file has none, other columns than the first, or lines before them.
    """
    delimiter = written.delimiter
    groups: dict[tuple[str, ...], list[DataFile]] = {}
    first: tuple[str, ...] = ()
    for file in files:
        delimiter, header = _header(source, file, _Dialect(delimiter, written.quote))
        first = first or header
        if set(header) != set(first):
            odd = sorted(set(header) ^ set(first))
            raise DataError(
                f"source {source}: {file.known_as} has other columns than {files[0].known_as}: {', '.join(odd[:10])}\n"
                f"expected: {', '.join(first)}\nfix: correct the header, or narrow sources.{source}.uri to like files"
            )
        groups.setdefault(header, []).append(file)
    return Layout(source, delimiter, written.quote, list(first), groups)


def open_text(path: Path) -> Any:
    """Opens a file, compressed or not, as csv.reader wants it."""
    opener: Any = gzip.open if path.name.endswith(".gz") else open
    return opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="")


def records(lines: Iterator[str], delimiter: str, quote: str, strict: bool = False) -> Any:
    """Returns a reader of the values of lines, as DuckDB's reader takes them."""
    quoting: Any = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quotechar=quote or None, quoting=quoting, strict=strict)


@dataclasses.dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quote: str


def _header(source: str, file: DataFile, dialect: _Dialect) -> tuple[str, tuple[str, ...]]:
    """Reads the column names, and the delimiter where it is not known yet."""
    lines = _first_lines(source, file)
    _require_no_separator_line(source, file, lines)
    delimiter = max(dialect.delimiter or DELIMITERS, key=lambda each: _fitness(lines, each, dialect.quote))
    parsed = _parse(source, file, lines, _Dialect(delimiter, dialect.quote))
    names = [name.strip() for name in parsed[0]] if parsed else []
    # UTF-16 without a byte order mark is valid UTF-8, with NUL at every other place.
    if odd := next((mark for mark in ("\ufffd", "\0") if any(mark in name for name in names)), ""):
        encoding = "cp1252" if odd == "\ufffd" else "utf-16-be" if names[0].startswith("\0") else "utf-16-le"
        raise DataError(
            f"source {source}: {file.known_as} is not in UTF-8\n"
            f"fix: say which encoding it is in, as in sources.{source}.csv: {{encoding: {encoding}}}, or convert it "
            "(iconv -t utf-8)"
        )
    if not any(names):
        raise DataError(f"source {source}: {file.known_as} is empty\nexpected: a first line with the column names")
    _require_like_lines(source, file, parsed, delimiter)
    require_names(source, file.known_as, names)
    return delimiter, tuple(names)


def _require_no_separator_line(source: str, file: DataFile, lines: list[str]) -> None:
    """Refuses a first line that tells Excel the delimiter: it is no line of column names."""
    if lines and (told := re.fullmatch(r'"?sep=(.)"?\s*', lines[0], re.IGNORECASE)):
        raise DataError(
            f"source {source}: the first line of {file.known_as} tells Excel the delimiter ({lines[0].strip()})\n"
            "expected: a first line with the column names\n"
            f"fix: sources.{source}.csv: {{skip_rows: 1, delimiter: '{told[1]}'}}; or take the line out"
        )


def _first_lines(source: str, file: DataFile) -> list[str]:
    try:
        with open_text(file.path) as opened:
            return list(itertools.islice(opened, _FIRST_LINES))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"source {source}: {file.known_as} cannot be read: {error}\nexpected: a CSV file") from error


def _parse(source: str, file: DataFile, lines: list[str], dialect: _Dialect) -> list[list[str]]:
    """Returns the records of the first lines; the last one, which may go on after them, is left out."""
    try:
        header = next(records(iter(lines), dialect.delimiter, dialect.quote, strict=True), None)
        parsed = list(records(iter(lines), dialect.delimiter, dialect.quote))
    except csv.Error as error:
        raise DataError(
            f"source {source}: the first line of {file.known_as} cannot be read: {error}\n"
            "expected: the column names, with quotes in pairs\n"
            f"fix: correct it; or say how many lines stand before it, as in sources.{source}.csv: {{skip_rows: 2}}"
        ) from error
    parsed = parsed[:-1] if header and len(lines) == _FIRST_LINES and len(parsed) > 1 else parsed
    return list(itertools.dropwhile(lambda record: not record, parsed))


def _fitness(lines: list[str], delimiter: str, quote: str) -> tuple[bool, bool, float, int]:
    """Says how well a delimiter fits: outside quotes, it parts the header, or else most lines, in as many values."""
    text = "".join(lines)
    plain = re.sub(f"{re.escape(quote)}[^{re.escape(quote)}]*{re.escape(quote)}", "", text) if quote else text
    widths = [line.count(delimiter) for line in plain.splitlines() if line.strip()]
    if not widths:
        return False, False, 0.0, 0
    ((usual, count),) = collections.Counter(widths).most_common(1)
    return widths[0] > 0, usual > 0, count / len(widths), usual


def _require_like_lines(source: str, file: DataFile, parsed: list[list[str]], delimiter: str) -> None:
    """Refuses a first line that has not as many values as most others: it is no line of column names."""
    widths = collections.Counter(len(record) for record in parsed[1:] if record)
    width, count = widths.most_common(1)[0] if widths else (len(parsed[0]), 0)
    if width == len(parsed[0]) or count < 2:
        return
    before = next(place for place, record in enumerate(parsed) if len(record) == width)
    raise DataError(
        f"source {source}: the first line of {file.known_as} has {len(parsed[0])} values by {delimiter!r}, "
        f"and most lines after it have {width}\n"
        "expected: a first line with the column names, and as many values in each line\n"
        f"fix: if the names come later, say how many lines stand before them, as in sources.{source}.csv: "
        f"{{skip_rows: {before}}}; if values are separated by something else, say csv.delimiter; else correct the file"
    )
