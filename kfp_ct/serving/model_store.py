"""Models of an object store in a local folder: what a pointer names is fetched whole, then served as on disk.

No lock and no listing decides: a version appears here when all its files are what its manifest says. Where the store
does not answer, refuses or is half written, what is here stays and is served on.
"""

import functools
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from kfp_ct.base.errors import ComponentError
from kfp_ct.serving import labels
from kfp_ct.serving.routing import CANDIDATE, PROMOTING, RELEASE_FILE, RUNNING
from kfp_ct.storage import locations, releases, storage

_log = logging.getLogger("serving")
_FINGERPRINT = "fingerprint"


class ModelStore:
    """The models below a root such as s3://bucket/serving, in a folder for `Versions` to watch."""

    def __init__(self, root: str, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._known: set[str] = {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}
        self._seen: dict[str, str] = {}  # the pointers that the folder agrees with, as versions of their objects
        self._problem = ""

    def refresh(self) -> None:
        """Brings the folder to what the pointers say; call it from one thread only."""
        problems = []
        looks: list[Callable[[], None]] = [functools.partial(self._follow, model) for model in sorted(self._known)]
        looks += [functools.partial(self._follow_labels, model) for model in sorted(self._known)]
        for look in (self._list, *looks):
            try:
                look()
            except (ComponentError, OSError, ValueError, KeyError) as error:
                problems.append(str(error))
        self._report("; ".join(problems))

    def _list(self) -> None:
        listed = storage.list_folder(self._root, deep=False)
        # A listing may lag: what was there is looked at, listed or not.
        new = {item.file_name.removesuffix(releases.SUFFIX) for item in listed if item.uri.endswith(releases.SUFFIX)}
        for model in sorted(new - self._known):
            self._follow(model)
            self._known.add(model)

    def _follow(self, model: str) -> None:
        pointer = releases.read_pointer(self._root, model)
        if pointer is None:
            self._withdraw(model)
            return
        if pointer.object_version != self._seen.get(model):
            self._fetch(model, str(pointer.state["version"]), str(pointer.state.get("fingerprint", "")))
            self._seen[model] = pointer.object_version
        self._follow_release(model)

    def _follow_release(self, model: str) -> None:
        """Brings the candidate here before the file that gives it traffic, and away after it."""
        content = storage.read(locations.join(self._root, model, RELEASE_FILE))
        if content is None or content.version == self._seen.get(f"{model}/{RELEASE_FILE}"):
            return
        state = json.loads(content.data)
        running, version = state["state"] in (RUNNING, PROMOTING), str(state["candidate"])
        folder = self._folder / model / CANDIDATE / version
        if running and not folder.is_dir() and not (self._folder / model / version).is_dir():
            manifest = releases.read_manifest(self._root, model, version)
            if manifest is None or manifest.fingerprint != state["fingerprint"]:
                raise releases.not_whole(self._root, model, version)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._download(model, version, manifest, folder)
        partial = self._folder / model / f".{RELEASE_FILE}.partial"
        partial.write_bytes(content.data)
        partial.rename(self._folder / model / RELEASE_FILE)
        for other in folder.parent.glob("[0-9]*"):
            if not running or other != folder:
                _remove(other)
        self._seen[f"{model}/{RELEASE_FILE}"] = content.version

    def _withdraw(self, model: str) -> None:
        self._known.discard(model)
        self._seen.pop(model, None)
        self._seen.pop(f"{model}/{RELEASE_FILE}", None)
        if (self._folder / model).is_dir():
            _remove(self._folder / model)

    def _fetch(self, model: str, version: str, fingerprint: str) -> None:
        here = self._folder / model
        if not (here / version).is_dir() or self._fingerprint(model, version).read_text() != fingerprint:
            manifest = releases.read_manifest(self._root, model, version)
            if manifest is None or manifest.fingerprint != fingerprint:
                raise releases.not_whole(self._root, model, version)
            here.mkdir(parents=True, exist_ok=True)
            if (here / version).is_dir():
                _remove(here / version)
            self._fingerprint(model, version).write_text(fingerprint)
            if (candidate := here / CANDIDATE / version).is_dir():
                candidate.rename(here / version)  # loaded already
            else:
                self._download(model, version, manifest, here / version)
        # `Versions` takes the highest; what is lower than the served one is a version to fall back to.
        others = sorted((int(path.name) for path in here.iterdir() if path.name.isdigit()), reverse=True)
        lower = [each for each in others if each < int(version)]
        labelled = [each for each in (labels.read_labels(here) or {}).values() if each < int(version)]
        for each in others:
            if each != int(version) and each not in (*lower[:1], *labelled):
                _remove(here / str(each))

    def _follow_labels(self, model: str) -> None:
        """Brings labels.json here, the versions that it names before it."""
        here = self._folder / model
        content = storage.read(locations.join(self._root, model, labels.LABELS_FILE)) if here.is_dir() else None
        if content is None:
            (here / labels.LABELS_FILE).unlink(missing_ok=True)
            self._seen.pop(f"{model}/{labels.LABELS_FILE}", None)
        elif content.version != self._seen.get(f"{model}/{labels.LABELS_FILE}"):
            partial = here / ".labels" / labels.LABELS_FILE
            partial.parent.mkdir(exist_ok=True)
            partial.write_bytes(content.data)
            named = labels.read_labels(partial.parent)
            for version in sorted(set((named or {}).values())):
                self._keep(model, version)
            if named is not None:
                partial.rename(here / labels.LABELS_FILE)
            self._seen[f"{model}/{labels.LABELS_FILE}"] = content.version

    def _keep(self, model: str, version: int) -> None:
        """Fetches a version that a label names."""
        here = self._folder / model
        if (here / str(version)).is_dir():
            return
        served = max((int(path.name) for path in here.iterdir() if path.name.isdigit()), default=version)
        if version > served:
            raise ComponentError(
                f"{labels.LABELS_FILE} of {model} names version {version}, which is above the served one, {served}\n"
                "expected: labels of the served version and those before it\nfix: label it once it is deployed"
            )
        manifest = releases.read_manifest(self._root, model, str(version))
        if manifest is None:
            raise releases.not_whole(self._root, model, str(version))
        self._fingerprint(model, str(version)).write_text(manifest.fingerprint)
        self._download(model, str(version), manifest, here / str(version))

    def _download(self, model: str, version: str, manifest: releases.Manifest, folder: Path) -> None:
        """Fetches a version, and keeps what it is beside it, as a publisher into a folder does."""
        Path(releases.manifest_uri(str(self._folder), model, version)).write_bytes(manifest.to_json())
        releases.fetch(self._root, model, version, manifest, folder)

    def _fingerprint(self, model: str, version: str) -> Path:
        return self._folder / model / f".{version}.{_FINGERPRINT}"

    def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.warning("models of %s stay as they are: %s", self._root, problem)
        elif self._problem and not problem:
            _log.info("models of %s are followed again", self._root)
        self._problem = problem


def _remove(folder: Path) -> None:
    """Removes a folder: it vanishes at once by a rename, its content after that."""
    hidden = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
