"""Features that a request leaves out, looked up by the entities that it names: in the file `ct features` writes.

A value that is missing in a row is taken from the newest of the row's entity, while it holds; what a caller sends
stands. Join keys must be among the signature's inputs.
"""

import contextlib
import dataclasses
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kfp_ct.serving.errors import FeaturesNotReadableError
from kfp_ct.serving.values import Inputs, InputSpec

Specs = dict[str, InputSpec]
# What a lookup of an entity in a view comes to.
FOUND, EXPIRED, UNKNOWN = "found", "expired", "unknown"
_VIEWS = "SELECT name, definition FROM views ORDER BY name"
_ENTITY = "SELECT known, features FROM online WHERE view = ? AND entity = ?"


@dataclasses.dataclass(frozen=True)
class View:
    """A view of the store: its join keys, its features, and how long they hold."""

    name: str
    keys: tuple[str, ...]
    features: tuple[str, ...]
    ttl_seconds: float | None


@dataclasses.dataclass
class _Open:
    """The file as one thread has it open: which it is, and the views in it."""

    stamp: tuple[int, ...]
    connection: sqlite3.Connection
    views: list[View]


class OnlineFeatures:
    """Reads a store; may be used by several threads, and follows the file as it is replaced."""

    def __init__(
        self, path: Path, count: Callable[[str, str], None] = lambda *_: None, now: Callable[[], float] = time.time
    ) -> None:
        """Opens the store.

        Args:
            path: The file.
            count: Is told of each lookup: the view, and what it came to.
            now: The time.

        Raises:
            FeaturesNotReadableError: It is not there, or is none.
        """
        self._path, self._count, self._now = path, count, now
        self._threads = threading.local()
        self._opened()

    def complete(self, inputs: Inputs, specs: Specs) -> Inputs:
        """Returns a request's inputs with the features that are missing in them, as far as they are known.

        Raises:
            FeaturesNotReadableError: The store is gone.
        """
        store, now = self._opened(), self._now()
        for view in store.views:
            if not set(view.keys) <= inputs.keys():
                continue
            gaps = {name: gap for name in view.features if (gap := _gap(inputs.get(name), specs.get(name))) is not None}
            if gaps:
                inputs = {**inputs, **self._filled(store, view, (inputs, gaps), now)}
        return inputs

    def _filled(
        self, store: _Open, view: View, asked: tuple[Inputs, dict[str, np.ndarray]], now: float
    ) -> dict[str, np.ndarray]:
        inputs, gaps = asked
        arrays = {name: np.array(inputs[name]) for name in gaps}
        keys = [_plain(inputs[key]) for key in view.keys]
        known: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in np.flatnonzero(np.any(list(gaps.values()), axis=0)):
            entity = tuple(key[row] for key in keys)
            if entity not in known:
                known[entity] = self._read(store, view, entity, now)
            for name, gap in gaps.items():
                if gap[row] and (value := known[entity].get(name)) is not None:
                    arrays[name][row] = value.encode() if isinstance(value, str) else value
        return arrays

    def _read(self, store: _Open, view: View, entity: tuple[Any, ...], now: float) -> dict[str, Any]:
        found = store.connection.execute(_ENTITY, [view.name, json.dumps(entity, ensure_ascii=False)]).fetchone()
        if found is None:
            self._count(view.name, UNKNOWN)
            return {}
        if view.ttl_seconds is not None and now - found[0] > view.ttl_seconds:
            self._count(view.name, EXPIRED)
            return {}
        self._count(view.name, FOUND)
        values: dict[str, Any] = json.loads(found[1])
        return values

    def _opened(self) -> _Open:
        try:
            stat = self._path.stat()
        except OSError as error:
            raise FeaturesNotReadableError(f"the features cannot be read: {error}") from None
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        store: _Open | None = getattr(self._threads, "store", None)
        if store is None or store.stamp != stamp:
            if store is not None:
                store.connection.close()
            store = self._threads.store = _open(self._path, stamp)
        return store


def _open(path: Path, stamp: tuple[int, ...]) -> _Open:
    with _readable(path):
        # A file is never changed once it has its name.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, check_same_thread=False)
        return _Open(stamp, connection, [_view(*row) for row in connection.execute(_VIEWS)])


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, KeyError) as error:
        raise FeaturesNotReadableError(
            f"{path} holds no features: {error}\nexpected: a file that `ct features materialize` wrote"
        ) from None


def _view(name: str, definition: str) -> View:
    said = json.loads(definition)
    return View(name, tuple(said["keys"]), tuple(said["features"]), said["ttl_seconds"])


def _gap(values: Any, spec: InputSpec | None) -> np.ndarray | None:
    """Returns which rows of a raw feature are missing; None where none is, or none can be."""
    if spec is None or not isinstance(values, np.ndarray) or not spec.is_raw_feature or spec.missing is None:
        return None
    flat = values.reshape(-1)
    gap = np.isnan(flat) if flat.dtype.kind == "f" else flat == spec.missing
    return gap if gap.any() else None


def _plain(values: Any) -> list[Any]:
    """Returns a join key's values as JSON has them."""
    flat = np.asarray(values).reshape(-1).tolist()
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in flat]
