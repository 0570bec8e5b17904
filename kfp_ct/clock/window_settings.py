"""The bounds of a window as settings: checked when they are read, so that a run does not begin with a wrong one."""

import datetime
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from kfp_ct.base.settings import expected, misfit
from kfp_ct.clock import windows

_EMPTY = "an empty text for no bound"


def _instant(text: str) -> str:
    try:
        windows.instant(text)
    except ValueError:
        raise misfit(f"expected {windows.INSTANT}, or {_EMPTY}") from None
    return text


def _start(text: str) -> str:
    try:
        windows.bounds(text, "", datetime.datetime.now(datetime.UTC))
    except ValueError:
        raise misfit(f"expected {windows.START}, or {_EMPTY}") from None
    return text


Instant = Annotated[str, AfterValidator(_instant), expected(f"{windows.INSTANT}, or {_EMPTY}")]
Start = Annotated[str, AfterValidator(_start), expected(f"{windows.START}, or {_EMPTY}")]


def conflicts(start: str, end: str) -> Iterator[tuple[str, str]]:
    """Says that a window's bounds enclose nothing; for a model's own `conflicts`."""
    try:
        windows.bounds(start, end, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        yield "window_start", f"{error}; expected an instant before window_end"
