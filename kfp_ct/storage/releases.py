"""Models in an object store or a folder: what a publisher writes and the prediction service reads.

    <root>/<model>/<version>/…       the SavedModel, in TensorFlow Serving's layout
    <root>/<model>/<version>.json    its manifest: size and SHA-256 of every file; in a folder, where a version appears
                                     at once, written before it, else after it
    <root>/<model>.json              the pointer to the served version, written last, if it is still what was read

Nothing else decides what is served: no listing, no rename, no lock.
"""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError
from kfp_ct.storage import locations, storage

SUFFIX = ".json"
# What makes a folder a SavedModel; uploaded after the other files, for services that look at the folder alone.
SAVED_MODEL = "saved_model.pb"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a version holds: path below its folder to size and SHA-256, and the fingerprint of the whole.

    `card` is the version's model card in Markdown, for the service's page; empty for none.
    """

    fingerprint: str
    files: dict[str, tuple[int, str]]
    card: str = ""

    def to_json(self) -> bytes:
        """Returns it as it is written."""
        files = {name: {"size": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        card = {"card": self.card} if self.card else {}
        return json.dumps({"fingerprint": self.fingerprint, "files": files, **card}, indent=1).encode()


@dataclasses.dataclass(frozen=True)
class Pointer:
    """The state of what is served, and the version of the object that says so."""

    state: dict[str, Any]
    object_version: str


def pointer_uri(root: str, model: str) -> str:
    """Returns where the pointer of a model is."""
    return locations.join(root, f"{model}{SUFFIX}")


def version_uri(root: str, model: str, version: str) -> str:
    """Returns the folder of a version."""
    return locations.join(root, model, version)


def manifest_uri(root: str, model: str, version: str) -> str:
    """Returns where the manifest of a version is."""
    return locations.join(root, model, f"{version}{SUFFIX}")


def read_pointer(root: str, model: str) -> Pointer | None:
    """Returns what is served; None for nothing.

    Raises:
        DataError: The object is not a pointer.
    """
    content = storage.read(pointer_uri(root, model))
    if content is None:
        return None
    try:
        state = dict(json.loads(content.data))
        return Pointer({**state, "version": str(state["version"])}, content.version)
    except (ValueError, KeyError, TypeError) as error:
        raise _not_ours(pointer_uri(root, model), "the version of a model that is served") from error


def read_manifest(root: str, model: str, version: str) -> Manifest | None:
    """Returns what a version holds; None where it is not there whole.

    Raises:
        DataError: The object is not a manifest.
    """
    uri = manifest_uri(root, model, version)
    content = storage.read(uri)
    if content is None:
        return None
    try:
        found = json.loads(content.data)
        files = {str(name): (int(each["size"]), str(each["sha256"])) for name, each in found["files"].items()}
        return Manifest(str(found["fingerprint"]), files, str(found.get("card", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_ours(uri, "the manifest of a published model") from error


def manifest_of(folder: Path, fingerprint: str) -> Manifest:
    """Returns the manifest of a local folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return Manifest(fingerprint, {p.relative_to(folder).as_posix(): (p.stat().st_size, _sha256(p)) for p in paths})


def fetch(root: str, model: str, version: str, manifest: Manifest, folder: Path) -> None:
    """Downloads a version into a folder, which appears only when every file is there and is what the manifest says.

    Raises:
        DataError: A file is missing, or is another one.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        found = []
        for name in manifest.files:
            uri = locations.join(version_uri(root, model, version), name)
            item = storage.stat(uri)
            if item is None:
                raise _broken(root, model, version, f"{name} is missing")
            found.append((item, partial / name))
        storage.download(found)
        for name in changed_files(partial, manifest):
            raise _broken(root, model, version, f"{name} is not the file that was published")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def changed_files(folder: Path, manifest: Manifest) -> list[str]:
    """Returns what is missing in a local folder, or is another file than the manifest says."""
    found = manifest_of(folder, manifest.fingerprint).files
    return sorted(name for name, expected in manifest.files.items() if found.get(name) != expected)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def not_whole(root: str, model: str, version: str) -> DataError:
    """Returns the error for a version that is named as the served one, and is not there whole."""
    return _broken(root, model, version, "its manifest is missing, or is one of another model")


def _broken(root: str, model: str, version: str, what: str) -> DataError:
    return DataError(
        f"{version_uri(root, model, version)} cannot be loaded: {what}\n"
        "expected: what its manifest lists\nfix: promote the version again, which uploads what is missing"
    )


def _not_ours(uri: str, what: str) -> DataError:
    return DataError(
        f"{uri} cannot be read\nexpected: {what}, as deploy writes it\nfix: move it away, or name another serving_root"
    )
