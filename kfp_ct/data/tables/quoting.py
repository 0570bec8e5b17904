"""Quotes what goes into SQL."""

import re
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.base.errors import ConfigurationError


def identifier(text: str) -> str:
    """Quotes an identifier."""
    return '"' + text.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quotes a string."""
    if "\0" in text:
        raise ConfigurationError(f"{text!r} holds a NUL character\nexpected: printable text")
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Sequence[str]) -> str:
    """Writes a list of strings."""
    return "[" + ", ".join(map(literal, texts)) + "]"


def pattern(file: Path) -> str:
    """Returns the glob that is one file, whatever its name."""
    return re.sub(r"([\[*?])", r"[\1]", str(file))


def paths(files: Sequence[Path]) -> str:
    """Writes a list of files for DuckDB, which takes paths for globs."""
    return literals([pattern(file) for file in files])
