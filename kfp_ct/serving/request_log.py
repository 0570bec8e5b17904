"""What was asked and answered, as Parquet files for monitoring; a reply never waits for it and never fails by it.

    <folder>/<model>/<version>/<YYYYMMDDTHHMMSS.ffffff>-<pid>.parquet

One row a row that was asked: `request_id`, `row`, `time` (UTC), `latency_ms`, `inputs` and `outputs` (structs; null
where a caller left an input out). A file's metadata `serving` is JSON: the signature, the version's role (live,
canary, shadow; while a release runs its id and the candidate's share), and what was counted since the version's file
before: requests, sampled, dropped, lost (rows that could not be written), errors by HTTP status.
"""

import collections
import dataclasses
import datetime
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError
from kfp_ct.serving.privacy import NOTHING_HIDDEN, Privacy
from kfp_ct.serving.request_files import NO_RELEASE, Answered, Key, Part, RequestFiles
from kfp_ct.serving.request_objects import RequestObjects

_log = logging.getLogger("serving")
_CLOSE_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_HASH_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where and how much is logged.

    Attributes:
        folder: Root of the log; text for one in an object store.
        sample: Fraction of requests to log, 0 to 1; which ones hangs on their id alone.
        total_bytes: Size of all files together; the oldest are deleted.
        file_rows: A file is written when so many rows wait for it,
        file_seconds: or when its first row has waited for so long.
        queue_rows: Rows that may wait for the writer; what comes beyond is dropped and counted.
        privacy: What is not logged, or only its digest.
    """

    folder: Path | str
    sample: float = 1.0
    total_bytes: int = 1 << 30
    file_rows: int = 20_000
    file_seconds: float = 60.0
    queue_rows: int = 100_000
    privacy: Privacy = NOTHING_HIDDEN


class RequestLog:
    """A log with a writer of its own; every method may be called from any thread and returns at once, but `close`."""

    def __init__(self, settings: Settings, files: RequestFiles | RequestObjects | None = None) -> None:
        """Starts the writer."""
        self._settings = settings
        self._files = files or _files(settings)
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[Key, Answered]] = collections.deque()
        self._waiting_rows = 0
        self._counts: dict[Key, collections.Counter[str]] = {}
        self._wake = threading.Event()
        self._closed = False
        self.on_drop: Callable[[], None] = lambda: None
        # What the writer alone touches: rows that will be the next files, and since when they wait.
        self._kept: dict[Key, list[Answered]] = {}
        self._since = time.monotonic()
        self._failing = False
        self._writer = threading.Thread(target=self._write_until_closed, name="request-log", daemon=True)
        self._writer.start()

    def answered(self, key: Key, answered: Answered) -> None:
        """Logs an answer if its request is in the sample; its arrays must not change any more."""
        chosen = is_sampled(answered.request_id, self._settings.sample)
        with self._lock:
            counts = self._counts_of(key)
            counts["requests"] += 1
            if not chosen:
                return
            counts["sampled"] += 1
            if self._closed or self._waiting_rows + answered.rows > self._settings.queue_rows:
                counts["dropped"] += 1
                self.on_drop()
                return
            self._waiting.append((key, self._settings.privacy.applied(answered)))
            self._waiting_rows += answered.rows
            full = self._waiting_rows >= self._settings.file_rows
        if full:
            self._wake.set()

    def refused(self, model: str, version: int, status: int, part: Part = NO_RELEASE) -> None:
        """Counts a request that a version answered with an error."""
        with self._lock:
            counts = self._counts_of(Key(model, version, "", part))
            counts["requests"] += 1
            counts[f"error_{status}"] += 1

    def close(self) -> None:
        """Writes what waits, and ends; returns after ten seconds even if the disk does not answer."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._writer.join(_CLOSE_SECONDS)

    def _counts_of(self, key: Key) -> collections.Counter[str]:
        """Returns what is counted of a version in its part, whatever the signature."""
        return self._counts.setdefault(dataclasses.replace(key, signature=""), collections.Counter())

    def _write_until_closed(self) -> None:
        while not self._closed:
            self._wake.wait(min(self._settings.file_seconds, _LOOK_SECONDS))
            self._wake.clear()
            if not self._kept and not self._counts:
                self._since = time.monotonic()
            self._keep_waiting()
            rows = sum(answered.rows for kept in self._kept.values() for answered in kept)
            if rows >= self._settings.file_rows or time.monotonic() - self._since >= self._settings.file_seconds:
                self._flush()
        self._keep_waiting()
        self._flush()

    def _keep_waiting(self) -> None:
        """Takes over what waits; what is kept for the next files is bounded by the same number of rows."""
        with self._lock:
            taken, self._waiting = self._waiting, collections.deque()
            self._waiting_rows = 0
        for key, answered in taken:
            self._kept.setdefault(key, []).append(answered)

    def _flush(self) -> None:
        kept, self._kept, self._since = self._kept, {}, time.monotonic()
        with self._lock:
            counts, self._counts = self._counts, {}
        for key in kept:  # counted once a version, in whichever signature's file comes first
            self._write(key, kept[key], counts.pop(dataclasses.replace(key, signature=""), collections.Counter()))
        for key, counted in counts.items():
            self._write(key, [], counted)
        self._trim()

    def _write(self, key: Key, rows: list[Answered], counts: collections.Counter[str]) -> None:
        try:
            self._files.write(key, rows, describe(key, counts, self._settings.privacy))
        except Exception as error:  # a reply must not hang on what the log's disk or its library thinks
            self._lost(key, rows, counts, error)
        else:
            self._failing = False

    def _lost(self, key: Key, rows: list[Answered], counts: collections.Counter[str], error: Exception) -> None:
        counts["lost"] += sum(answered.rows for answered in rows)
        with self._lock:  # said in the next file that can be written
            self._counts_of(key).update(counts)
        if not self._failing:
            self._failing = True
            _log.error("the request log cannot be written, requests are served on: %s: %s", type(error).__name__, error)

    def _trim(self) -> None:
        try:
            self._files.trim()
        except (OSError, ComponentError) as error:
            _log.warning("old files of the request log cannot be deleted: %s", error)


def _files(settings: Settings) -> RequestFiles | RequestObjects:
    if isinstance(settings.folder, str):
        return RequestObjects(settings.folder, settings.total_bytes)
    return RequestFiles(settings.folder, settings.total_bytes)


def is_sampled(request_id: str, fraction: float) -> bool:
    """Whether a request is in the sample: the same on every server, and again when it is repeated."""
    if fraction >= 1:
        return True
    digest = hashlib.blake2b(request_id.encode(errors="surrogateescape"), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest) < fraction * 2 ** (8 * _HASH_BYTES)


def describe(key: Key, counts: collections.Counter[str], privacy: Privacy = NOTHING_HIDDEN) -> str:
    """Returns the metadata of a file."""
    numbers = {name: counts[name] for name in ("requests", "sampled", "dropped", "lost")}
    errors = {name.removeprefix("error_"): number for name, number in counts.items() if name.startswith("error_")}
    written = datetime.datetime.now(datetime.UTC).isoformat()
    message: dict[str, Any] = {"signature": key.signature, "written": written, **numbers, "errors": errors}
    message |= key.part.to_json() | privacy.to_json()
    return json.dumps(message)
