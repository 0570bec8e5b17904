"""What a prediction service watches: TensorFlow Serving's version folders, published atomically, or a bucket's."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import layouts
from kfp_ct.models import blessing, model_version, serving_bucket
from kfp_ct.storage import locations, releases

_VERSION = re.compile(r"[1-9][0-9]{0,17}")
# What makes a folder a SavedModel, for TensorFlow Serving too.
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")


@dataclasses.dataclass(frozen=True)
class Release:
    """The model to serve, its verdict, and the name and version it is served as."""

    model_path: str
    blessing_path: str
    model_name: str
    version: str
    infra_path: str = ""  # validate_infra's account; empty for none


def publish(release: Release, serving_root: str, keep_versions: int) -> tuple[dict[str, Any], list[str]]:
    """Makes a blessed model the served one; returns what is served now, and the lower versions that stay.

    Services serve the highest version, as TensorFlow Serving does, so higher ones are withdrawn (a rerun of an
    older training that won, a rollback); they stay in the registry. Of the lower ones the newest are kept.

    Raises:
        ModelNotBlessedError: The verdict is not a yes, or is about another model.
        ConfigurationError: A name, a version or the folder cannot be used, or it holds another model as this version.
    """
    blessing.require(release.blessing_path, release.model_path)
    check(release, serving_root, keep_versions)
    if locations.is_remote(serving_root):
        return serving_bucket.publish(_in_bucket(release, serving_root), keep_versions)
    root = locations.local_path(serving_root)
    base = root / release.model_name
    with atomic_files.writing_to("the serving folder", base):
        base.mkdir(parents=True, exist_ok=True)
        with atomic_files.locked(root / f".{release.model_name}.lock"):
            atomic_files.sweep(base)
            previous = _previous(root, release)
            fingerprint = _publish(release, base / release.version)
            kept = _prune(base, int(release.version), keep_versions)
            state = {"model": release.model_name, "version": release.version, "previous": previous}
            layouts.write_json(
                _state_path(root, release), {**state, "fingerprint": fingerprint, "example": _example(release)}
            )
    return state, kept


def served(serving_root: str | Path, model_name: str) -> str:
    """Returns the version that a service answers with; empty if none is deployed."""
    if locations.is_remote(str(serving_root)):
        return serving_bucket.served(str(serving_root), model_name)
    base = locations.local_path(str(serving_root)) / model_name
    return str(max(_versions(base), default="")) if base.is_dir() else ""


def check(release: Release, serving_root: str, keep_versions: int) -> None:
    """Looks whether a release can be published; changes nothing.

    Raises:
        ConfigurationError: A name, a version, a number or the place cannot be used, or there is no SavedModel.
    """
    model_version.check_model_name(release.model_name)
    if not _VERSION.fullmatch(release.version):
        raise ConfigurationError(
            f"{release.version!r} cannot be served as a version of {release.model_name}\n"
            "expected: a whole number from 1 on, as the registry gives it"
        )
    if keep_versions < 1:
        raise ConfigurationError(f"keep_versions is {keep_versions}\nexpected: at least 1, the served version itself")
    if not serving_root:
        raise ConfigurationError(
            "the serving folder '' cannot be published to\nexpected: a folder, s3://bucket/folder or gs://bucket/folder\n"
            "fix: correct serving_root in the settings file"
        )
    locations.check(serving_root)
    if not any((_saved_model(release) / name).is_file() for name in SAVED_MODEL):
        raise ConfigurationError(
            f"no SavedModel at {_saved_model(release)}\nexpected: {SAVED_MODEL[0]} in it, as train writes it"
        )


def _saved_model(release: Release) -> Path:
    return Path(release.model_path) / layouts.SERVING_MODEL


def _in_bucket(release: Release, serving_root: str) -> serving_bucket.BucketRelease:
    model = _saved_model(release)
    manifest = releases.manifest_of(model, layouts.tree_fingerprint(model))
    example = _example(release)
    return serving_bucket.BucketRelease(model, serving_root, release.model_name, release.version, manifest, example)


def _publish(release: Release, folder: Path) -> str:
    fingerprint = layouts.tree_fingerprint(_saved_model(release))
    if not folder.exists():
        atomic_files.publish(_saved_model(release), folder)
    elif layouts.tree_fingerprint(folder) != fingerprint:
        raise ConfigurationError(
            f"{folder} holds another model than the one registered as v{release.version}\n"
            "expected: a serving folder that belongs to one registry, and versions that never change\n"
            f"fix: move {folder} away, or name another serving_root"
        )
    return fingerprint


def _previous(root: Path, release: Release) -> str:
    path = _state_path(root, release)
    state = layouts.read_json(path) if path.is_file() else {}
    same = state.get("version") == release.version
    return str(state.get("previous" if same else "version", ""))


def _state_path(root: Path, release: Release) -> Path:
    # Beside the model's folder, not in it: TensorFlow Serving reads everything there as a version.
    return root / f"{release.model_name}.json"


def _prune(base: Path, served: int, keep_versions: int) -> list[str]:
    """Withdraws the versions above the served one and the oldest below it; returns the lower ones that stay."""
    versions = sorted(_versions(base), reverse=True)
    lower = [version for version in versions if version < served]
    kept = lower[: keep_versions - 1]
    for version in versions:
        if version != served and version not in kept:
            atomic_files.withdraw(base / str(version))
    return [str(version) for version in kept]


def _versions(base: Path) -> list[int]:
    return [int(path.name) for path in base.iterdir() if _VERSION.fullmatch(path.name)]


def _example(release: Release) -> dict[str, Any]:
    """Returns a request of real values and its answer; empty where there was no trial of the service."""
    path = Path(release.infra_path) / layouts.SUMMARY
    return dict(layouts.read_json(path).get("example", {})) if release.infra_path and path.is_file() else {}
