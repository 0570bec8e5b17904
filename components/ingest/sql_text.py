"""A query of DuckDB's as text: what can be said of it without the engine, before anything runs."""

import re
from collections.abc import Collection, Iterator

from kfp_ct.base.setting_problems import nearest

# Strings, quoted names and comments are passed over, so that only real uses are found.
TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | @(?P<name>[A-Za-z_]\w*)""", re.DOTALL | re.VERBOSE
)
PARAMETERS = ("window_start", "window_end")
_ASIDE = re.compile(r"""'(?:[^']|'')*' | --[^\n]* | /\*.*?\*/""", re.DOTALL | re.VERBOSE)
_WORD = re.compile(r'"((?:[^"]|"")*)"|([^\W\d]\w*)')
_TABLE = re.compile(r"\b(?:from|join)\s+([a-z_]\w*)(?!\w|\s*[.(])", re.IGNORECASE)
_NAMED_BEFORE = re.compile(r'([a-z_]\w*)"?\s+as\s+(?:(?:not\s+)?materialized\s+)?\(', re.IGNORECASE)


def nothing(text: str) -> Iterator[str]:
    """Says that a file holds no SQL."""
    if not _ASIDE.sub(" ", text).strip(" \t\r\n;"):
        yield "it holds no SQL: expected one SELECT over the sources"


def parameters(text: str) -> set[str]:
    """Returns the names that a query uses with an @."""
    return {match["name"] for match in TOKEN.finditer(text) if match["name"]}


def unknown_parameters(text: str) -> Iterator[str]:
    """Says which names with an @ a query uses that have no value."""
    for name in sorted(parameters(text) - {*PARAMETERS}):
        yield f"it uses @{name}: expected @window_start and @window_end only"


def unread(text: str, sources: Collection[str]) -> Iterator[str]:
    """Says that a query reads none of the sources, or a table whose name is nearly that of one it does not read."""
    plain = _ASIDE.sub(" ", text)
    words = {(quoted or word).lower() for quoted, word in _WORD.findall(plain)}
    unused = [name for name in sources if name.lower() not in words]
    if sources and len(unused) == len(sources):
        yield f"it reads none of the sources: expected a SELECT from {' or '.join(sources)}"
    known = {name.lower() for name in (*sources, *_NAMED_BEFORE.findall(plain))}
    for table in dict.fromkeys(_TABLE.findall(plain)):
        if table.lower() not in known and (near := nearest(table, unused)):
            yield f"it reads {table}, which is no source; {near}"
