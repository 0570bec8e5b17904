"""Publishes a model to an object store that prediction services watch: files, then their manifest, then the pointer.

A publisher that is killed anywhere leaves the version served that was; the next one goes on. Two at a time are kept
apart by the pointer: it is replaced only if it is still what was read.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.storage import locations, releases, storage
from kfp_ct.storage.releases import Manifest, Pointer

# So often another publisher may be faster before this one gives up.
_TRIES = 5


@dataclasses.dataclass(frozen=True)
class BucketRelease:
    """What is published, and where.

    Attributes:
        folder: The SavedModel.
        root: Where models are published.
        model: The name it is served as.
        version: The version it is served as.
        manifest: What the folder holds.
        example: A request and its answer; empty for none.
    """

    folder: Path
    root: str
    model: str
    version: str
    manifest: Manifest
    example: dict[str, Any]


def publish(release: BucketRelease, keep_versions: int) -> tuple[dict[str, Any], list[str]]:
    """Makes a model the served one; returns what is served now, and the lower versions that stay.

    Raises:
        ConfigurationError: The place holds another model as this version, or may not be written.
        ComponentError: Other publishers are faster, or the store does not answer.
    """
    for _ in range(_TRIES):
        _upload(release)
        state = _point(release)
        # A publisher beside this one may have removed the files as those of an old version.
        if releases.read_manifest(release.root, release.model, release.version):
            return state, _prune(release, keep_versions)
    raise _contended(release)


def upload(release: BucketRelease) -> str:
    """Puts a model there as a release's candidate: without the pointer nobody serves it; returns its fingerprint."""
    _upload(release)
    return release.manifest.fingerprint


def promote(candidate: Any, root: str, keep_versions: int) -> list[str]:
    """Makes an uploaded candidate the served version; returns the lower versions that stay.

    Raises:
        ConfigurationError: Its files are gone.
    """
    manifest = releases.read_manifest(root, candidate.model_name, candidate.version)
    if manifest is None:
        raise releases.not_whole(root, candidate.model_name, candidate.version)
    release = BucketRelease(Path(), root, candidate.model_name, candidate.version, manifest, candidate.example)
    _point(release)
    return _prune(release, keep_versions)


def withdraw(root: str, model: str, version: str) -> None:
    """Removes a candidate's objects, its manifest first, unless it is served or was."""
    if int(version) <= int(served(root, model) or 0):
        return  # a version to fall back to
    manifest, folder = releases.manifest_uri(root, model, version), releases.version_uri(root, model, version)
    storage.delete(manifest)
    for item in storage.list_folder(folder):
        storage.delete(item.uri)


def served(root: str, model: str) -> str:
    """Returns the version that is served; empty for none."""
    pointer = releases.read_pointer(root, model)
    return str(pointer.state["version"]) if pointer else ""


def _upload(release: BucketRelease) -> None:
    place = (release.root, release.model, release.version)
    if (there := releases.read_manifest(*place)) is None:
        storage.upload_folder(release.folder, releases.version_uri(*place), last=releases.SAVED_MODEL)
        if storage.create(releases.manifest_uri(*place), release.manifest.to_json()):
            return
        there = releases.read_manifest(*place)
    if there and there.fingerprint != release.manifest.fingerprint:
        folder = releases.version_uri(*place)
        raise ConfigurationError(
            f"{folder} holds another model than the one registered as v{release.version}\n"
            "expected: a serving_root that belongs to one registry, and versions that never change\n"
            f"fix: move {folder} away, or name another serving_root"
        )


def _point(release: BucketRelease) -> dict[str, Any]:
    uri = releases.pointer_uri(release.root, release.model)
    for _ in range(_TRIES):
        pointer = releases.read_pointer(release.root, release.model)
        state = {"model": release.model, "version": release.version, "previous": _previous(pointer, release.version)}
        whole = {**state, "fingerprint": release.manifest.fingerprint, "example": release.example}
        if pointer and pointer.state == whole:
            return state  # also where the answer to the write was lost
        data = json.dumps(whole, indent=1, ensure_ascii=False).encode()
        if storage.replace(uri, data, pointer.object_version) if pointer else storage.create(uri, data):
            return state
    raise _contended(release)


def _previous(pointer: Pointer | None, version: str) -> str:
    if pointer is None:
        return ""
    return str(pointer.state.get("previous" if pointer.state["version"] == version else "version", ""))


def _prune(release: BucketRelease, keep_versions: int) -> list[str]:
    """Removes the versions above the served one and the oldest below it; returns the lower ones that stay."""
    files = _files_by_version(release)
    number = int(release.version)
    lower = sorted((each for each in files if each < number), reverse=True)
    kept = [str(each) for each in lower[: keep_versions - 1]]
    for version, uris in files.items():
        manifest = releases.manifest_uri(release.root, release.model, str(version))
        # What is above and has no manifest is being uploaded.
        if version == number or str(version) in kept or (version > number and manifest not in uris):
            continue
        if served(release.root, release.model) != release.version:
            break  # another publisher has moved the pointer: what it needs is its to say
        # Without its manifest nobody takes the rest for a version.
        for uri in sorted(uris, key=lambda uri: uri != manifest):
            storage.delete(uri)
    return kept


def _files_by_version(release: BucketRelease) -> dict[int, list[str]]:
    """Returns the objects of every version of the model."""
    base = locations.join(release.root, release.model)
    found: dict[int, list[str]] = {}
    for item in storage.list_folder(base):
        name = item.uri[len(base) + 1 :].partition("/")[0].removesuffix(releases.SUFFIX)
        if name.isdigit():
            found.setdefault(int(name), []).append(item.uri)
    return found


def _contended(release: BucketRelease) -> ComponentError:
    return ComponentError(
        f"{release.model} v{release.version} cannot be made the served one: others publish {release.model} at the same "
        f"time to {release.root}\nexpected: one publisher at a time\nfix: run again when the others are done"
    )
