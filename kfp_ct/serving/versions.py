"""Which version of which model answers: watches the folder, loads, switches, unloads."""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp_ct.serving.errors import InvalidRequestError, ModelNotFoundError
from kfp_ct.serving.labels import read_labels
from kfp_ct.serving.loaded_version import AVAILABLE, END, LOADING, UNLOADING, Model, Version
from kfp_ct.serving.routing import CANDIDATE, Routing, UnreadableError, read_routing
from kfp_ct.serving.version_folders import Folder, scan, versions_in
from kfp_ct.storage import releases

_log = logging.getLogger("serving")
# Finished versions that the status still lists, a model.
_REMEMBERED = 20


class Versions:
    """All versions of all models below a root folder: <root>/<model>/<number>/saved_model.pb.

    The highest version that can be loaded answers. It answers until a higher one (or, where it was withdrawn, the
    highest one left) is loaded and warm, and is unloaded when its last request has ended. Versions that
    <root>/<model>/labels.json names are kept beside it, and are asked by their label or number; so is the candidate
    of a release (<root>/<model>/candidate/<number>), which has a share of the traffic.
    """

    def __init__(self, root: Path, load: Callable[[Path], Model], refresh: Callable[[], None] = lambda: None) -> None:
        self._root = root
        self._refresh = refresh  # brings the folder up to date where it mirrors an object store
        self._load = load
        self._lock = threading.Lock()
        self._models: dict[str, dict[int, Version]] = {}
        self._current: dict[str, Version] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._routings: dict[str, Routing] = {}
        self._problems: dict[str, str] = {}

    @contextlib.contextmanager
    def leased(self, name: str, number: int | str | None) -> Iterator[tuple[Model, int]]:
        """Lends a loaded model, by its number or label, and its version number; it is not unloaded meanwhile.

        Raises:
            ModelNotFoundError: There is none.
            InvalidRequestError: No version has this label.
        """
        with self._lock:
            version = self._find(name, number)
            if version is None or version.model is None:
                asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise ModelNotFoundError(f"Servable not found for request: {asked}")
            version.users += 1
            model = version.model
        try:
            yield model, version.number
        finally:
            with self._lock:
                version.users -= 1

    def _find(self, name: str, number: int | str | None) -> Version | None:
        if number is None:
            return self._current.get(name)
        if isinstance(number, str):
            number = self._labelled(name, number)
        version = self._models.get(name, {}).get(number)
        return version if version is not None and version.state == AVAILABLE else None

    def _labelled(self, name: str, label: str) -> int:
        labels = self._labels.get(name, {})
        if label not in labels:
            known = f"; {name} has {', '.join(sorted(labels)) or 'no labels'}" if name in self._current else ""
            raise InvalidRequestError(f"Unrecognized servable version label: {label}{known}")
        return labels[label]

    def status(self, name: str, number: int | str | None) -> list[dict[str, Any]]:
        """Returns the states of a model's versions, highest first.

        Raises:
            ModelNotFoundError: There is no such model or version.
        """
        with self._lock:
            versions = self._models.get(name, {})
            if not versions:
                raise ModelNotFoundError(f"Could not find any versions of model {name}")
            if isinstance(number, str):
                number = self._labelled(name, number)
            if number is not None and number not in versions:
                raise ModelNotFoundError(f"Could not find version {number} of model {name}")
            chosen = versions.values() if number is None else [versions[number]]
            return [version.status() for version in sorted(chosen, key=lambda version: -version.number)]

    def serving(self) -> dict[str, int]:
        """Returns the version that answers, by model."""
        with self._lock:
            return {name: version.number for name, version in self._current.items()}

    def loaded_at(self) -> dict[tuple[str, int], float]:
        """Returns since when each version that can be asked is loaded, in seconds since 1970."""
        with self._lock:
            return {
                (name, number): version.loaded
                for name, versions in self._models.items()
                for number, version in versions.items()
                if version.state == AVAILABLE
            }

    def card(self, name: str, number: int) -> str:
        """Returns the model card of a version that can be asked, Markdown; empty where none was published with it."""
        if (name, number) not in self.loaded_at():
            return ""
        manifest = releases.read_manifest(str(self._root), name, str(number))
        return manifest.card if manifest else ""

    def available(self, name: str) -> list[int]:
        """Returns the versions of a model that can be asked, lowest first."""
        return sorted(number for model, number in self.loaded_at() if model == name)

    def labels(self, name: str) -> dict[str, int]:
        """Returns a model's labels, and what versions they are for."""
        with self._lock:
            return dict(self._labels.get(name, {}))

    def routing(self, name: str) -> Routing | None:
        """Returns how a model's traffic is split; None where no candidate is tried."""
        return self._routings.get(name)

    def waiting(self) -> list[str]:
        """Returns the models below the root that have no version that answers."""
        present = scan(self._root) or {}
        with self._lock:
            return sorted(name for name in present if present[name] and name not in self._current)

    def poll(self) -> None:
        """Looks at the folder once and does what it asks for; call it from one thread only."""
        self._refresh()
        present = scan(self._root)
        if present is None:  # unreadable for a moment is no reason to stop answering
            return
        for name, numbers in present.items():
            self._read_labels(name)
            self._follow(name, numbers)
            self._keep_beside(name, numbers)
        for name in set(self._current) - set(present):
            self._labels.pop(name, None)
            self._routings.pop(name, None)
            self._switch(name, None)
            self._keep_beside(name, {})
        self._unload_idle()

    def watch(self, stop: threading.Event, seconds: float) -> None:
        """Polls until `stop` is set."""
        while not stop.is_set():
            try:
                self.poll()
            except Exception:
                _log.exception("watching %s", self._root)
            stop.wait(seconds)

    def _follow(self, name: str, numbers: dict[int, Folder]) -> None:
        current = self._current.get(name)
        for number in sorted(numbers, reverse=True):
            if current is not None and number == current.number:
                return
            known = self._models.get(name, {}).get(number)
            if known is not None and known.state == AVAILABLE and known.folder.same(numbers[number]):
                known.folder = numbers[number]
                self._switch(name, known)  # it has a label or was the candidate, and is loaded
                return
            if known is not None and known.error and known.folder == numbers[number]:
                continue  # it could not be loaded and has not changed since
            version = self._loaded(name, number, numbers[number])
            if version is not None:
                self._switch(name, version)
                return

    def _read_labels(self, name: str) -> None:
        labels = read_labels(self._root / name)
        if labels is not None:
            with self._lock:
                self._labels[name] = labels

    def _keep_beside(self, name: str, numbers: dict[int, Folder]) -> None:
        """Loads the versions that have a label or are a candidate, and lets go of those that are neither any more."""
        routing = self._read_routing(name)
        wanted = {number: numbers[number] for number in self._labels.get(name, {}).values() if number in numbers}
        if routing is not None:
            wanted |= {n: folder for n, folder in self._candidates(name, numbers).items() if n == routing.candidate}
        for number, folder in sorted(wanted.items()):
            self._keep(name, number, folder)
        # While the candidate's folder is renamed it is in neither place.
        kept = {*wanted, routing.candidate} if routing else set(wanted)
        with self._lock:
            if routing is None:
                self._routings.pop(name, None)
            else:
                self._routings[name] = routing
            for version in self._models.get(name, {}).values():
                if version.state == AVAILABLE and version is not self._current.get(name) and version.number not in kept:
                    version.state = UNLOADING

    def _keep(self, name: str, number: int, folder: Folder) -> None:
        known = self._models.get(name, {}).get(number)
        if known is not None and (known.state == AVAILABLE or (known.error and known.folder.same(folder))):
            return
        version = self._loaded(name, number, folder)
        if version is not None:
            version.state = AVAILABLE

    def _read_routing(self, name: str) -> Routing | None:
        try:
            routing = read_routing(self._root / name)
        except UnreadableError as error:
            if self._problems.get(name) != str(error):
                _log.error("%s", error)
            self._problems[name] = str(error)
            return self._routings.get(name)
        self._problems.pop(name, None)
        if routing != self._routings.get(name):
            _log.info("%s: %s", name, routing or "no candidate is tried any more")
        return routing

    def _candidates(self, name: str, numbers: dict[int, Folder]) -> dict[int, Folder]:
        try:
            return numbers | versions_in(self._root / name / CANDIDATE)
        except OSError:
            return numbers

    def _loaded(self, name: str, number: int, folder: Folder) -> Version | None:
        version = Version(number, folder, LOADING)
        with self._lock:
            self._models.setdefault(name, {})[number] = version
        started = time.monotonic()
        try:
            model = self._load(folder.path)
        except Exception as error:
            with self._lock:
                version.state, version.error = END, f"{type(error).__name__}: {error}"
            _log.error("%s v%d cannot be loaded: %s", name, number, version.error)
            return None
        try:
            model.warm_up()
        except Exception as error:  # made-up rows may be refused where real ones are not
            _log.warning("%s v%d: warm-up failed: %s", name, number, str(error).partition("\n")[0])
        version.model, version.loaded = model, time.time()
        _log.info("%s v%d loaded in %.1f s", name, number, time.monotonic() - started)
        return version

    def _switch(self, name: str, version: Version | None) -> None:
        with self._lock:
            before = self._current.pop(name, None)
            if before is not None and before.number not in self._labels.get(name, {}).values():
                before.state = UNLOADING
            if version is not None:
                version.state = AVAILABLE
                self._current[name] = version
        change = f"v{version.number} answers" if version else "withdrawn"
        _log.info("%s %s%s", name, change, f", v{before.number} until now" if before else "")

    def _unload_idle(self) -> None:
        unloaded = []
        with self._lock:
            for versions in self._models.values():
                for version in versions.values():
                    if version.state == UNLOADING and version.users == 0:
                        version.model, version.state = None, END
                        unloaded.append(version.number)
                finished = sorted(number for number, version in versions.items() if version.has_ended)
                for number in finished[:-_REMEMBERED]:
                    del versions[number]
        if unloaded:
            gc.collect()  # TensorFlow's objects refer to each other in circles
