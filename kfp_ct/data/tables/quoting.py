"""Quotes what goes into SQL."""

from collections.abc import Sequence

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
