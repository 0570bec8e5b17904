"""Fingerprints the sources of a window."""

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.clock import windows
from kfp_ct.data import source_version


def resolve(
    sources: Mapping[str, Any],
    window: tuple[str, str],
    options: Mapping[str, Any],
    known: str = "",
    now: datetime.datetime | None = None,
) -> str:
    """Returns a fingerprint that is another one where ingest would read something else.

    Args:
        sources: Table name to a source, as ingest takes them.
        window: Start and end, as ingest takes them.
        options: Options of ingest.
        known: A fingerprint that was taken already; it is returned as it is.
        now: The present, for windows such as `last 90 days`.

    Raises:
        ConfigurationError: A source or the window cannot be looked at.
        DataError: There is no such bucket.
    """
    if known:
        task_log.summary(f"data version {known}, as it was given")
        return known
    version = source_version.source_version(sources, Path.cwd(), options)
    if windows.is_relative(window[0]):
        dates = _dates(window, now or datetime.datetime.now(datetime.UTC))
        version = hashlib.sha256(f"{version}\0{dates}".encode()).hexdigest()[: len(version)]
    task_log.summary(f"data version {version} of {', '.join(sorted(sources)) or 'the query'}")
    return version


def _dates(window: tuple[str, str], now: datetime.datetime) -> tuple[str, str]:
    try:
        return windows.absolute(*window, now)
    except ValueError as error:
        raise ConfigurationError(f"the window from {window[0]!r} to {window[1]!r} cannot be used: {error}") from error
