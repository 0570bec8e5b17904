"""Spans and versions in URIs, as TFX's ExampleGen has them: which of the files that lie there are read.

    data/span-{SPAN}/version-{VERSION}/*.csv       numbers; of a span the highest version counts
    data/{YYYY}/{MM}/{DD}/*.parquet                days; the span is the number of days since 1970-01-01

Source: https://www.tensorflow.org/tfx/guide/examplegen, "Span, Version and Split".
"""

import dataclasses
import datetime
import re
from collections.abc import Sequence

from kfp_ct.base.errors import DataError

_EPOCH = datetime.date(1970, 1, 1)
_PATTERNS = {
    "SPAN": r"(?P<SPAN>\d+)", "VERSION": r"(?P<VERSION>\d+)", "YYYY": r"(?P<YYYY>\d{4})",
    "MM": r"(?P<MM>\d{2})", "DD": r"(?P<DD>\d{2})",
}  # fmt: skip
_DATE = ("YYYY", "MM", "DD")
_FIELD = re.compile(r"\{([^{}]*)\}")
WANTED = re.compile(r"latest|last ([1-9]\d*)|(\d+)|(\d+) to (\d+)|all")
EXPECTED = "latest, last 3, 7, 3 to 7, or all"


@dataclasses.dataclass(frozen=True)
class Found:
    """A span and its version, and the files that are of it."""

    span: int
    version: int
    files: tuple[str, ...]


def problem(uri: str) -> str:
    """Says what is wrong with the fields of a URI; empty if nothing is."""
    names = _FIELD.findall(uri)
    if unknown := [name for name in names if name not in _PATTERNS]:
        known = ", ".join(f"{{{name}}}" for name in _PATTERNS)
        return f"{{{unknown[0]}}} is no field of a URI; expected {known}"
    if twice := [name for name in _PATTERNS if names.count(name) > 1 and name in ("SPAN", "VERSION")]:
        return f"{{{twice[0]}}} is there twice"
    dates = [name for name in _DATE if name in names]
    if dates and len(dates) < len(_DATE):
        return "a date needs {YYYY}, {MM} and {DD}"
    if dates and "SPAN" in names:
        return "expected {SPAN} or a date, not both"
    if "VERSION" in names and not dates and "SPAN" not in names:
        return "{VERSION} is one of a span: expected {SPAN} or a date beside it"
    return ""


def has_fields(uri: str) -> bool:
    """Whether a URI has fields."""
    return bool(_FIELD.search(uri))


def to_glob(uri: str) -> str:
    """Returns the glob that matches whatever the fields may be."""
    return _FIELD.sub("*", uri)


def choose(uri: str, files: Sequence[str], wanted: str) -> list[Found]:
    """Returns the spans that are read, lowest first, each in its highest version.

    Args:
        uri: The URI with its fields.
        files: What its glob matches.
        wanted: Which spans: see `EXPECTED`; empty is the latest.

    Raises:
        DataError: There is none of them.
    """
    by_span: dict[int, dict[int, list[str]]] = {}
    pattern = re.compile(_expression(uri))
    for file in files:
        if match := pattern.fullmatch(file):
            span, version = _span(match, file), int(match.groupdict().get("VERSION") or 0)
            by_span.setdefault(span, {}).setdefault(version, []).append(file)
    numbers = _chosen(sorted(by_span), wanted or "latest")
    if not numbers:
        there = f"there are {_listed(sorted(by_span))}" if by_span else "no file fits"
        raise DataError(
            f"{uri}: no span of {wanted or 'latest'}: {there}\nexpected: at least one\n"
            "fix: correct `spans` or the URI, or put the data there"
        )
    newest = {span: max(by_span[span]) for span in numbers}
    return [Found(span, newest[span], tuple(by_span[span][newest[span]])) for span in numbers]


def _expression(uri: str) -> str:
    """Returns a regular expression of a URI: fields are numbers, `*` and `?` are within a folder, `**` is any."""
    seen: set[str] = set()
    parts = []
    for token in re.split(r"(\{[^{}]*\}|\*\*/?|\*|\?)", uri):
        name = token[1:-1] if token.startswith("{") else ""
        if name in _PATTERNS:
            parts.append(f"(?P={name})" if name in seen else _PATTERNS[name])
            seen.add(name)
        else:
            parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token))
    return "".join(parts)


def _span(match: re.Match[str], file: str) -> int:
    fields = match.groupdict()
    if "SPAN" in fields:
        return int(fields["SPAN"])
    try:
        return (datetime.date(*(int(fields[name]) for name in _DATE)) - _EPOCH).days
    except ValueError as error:
        raise DataError(
            f"{file} is of no day: {error}\nexpected: {{YYYY}}, {{MM}} and {{DD}} of a day\nfix: rename the folder"
        ) from error


def _chosen(spans: Sequence[int], wanted: str) -> list[int]:
    match = WANTED.fullmatch(wanted)
    assert match is not None  # noqa: S101 - the settings allow nothing else
    last, one, low, high = match.groups()
    if wanted == "all":
        return list(spans)
    if low:
        return [span for span in spans if int(low) <= span <= int(high)]
    if one:
        return [span for span in spans if span == int(one)]
    newest = spans[-1] if spans else 0
    return [span for span in spans if span > newest - int(last or 1)]


def _listed(spans: Sequence[int]) -> str:
    return ", ".join(map(str, spans[:10])) + (f" … {spans[-1]}" if len(spans) > 10 else "")
