"""What a prediction service watches: TensorFlow Serving's version folders, published atomically, or a bucket's."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import layouts
from kfp_ct.models import blessing, kept_records, model_version, serving_bucket
from kfp_ct.storage import locations, releases

_VERSION = re.compile(r"[1-9][0-9]{0,17}")
# What makes a folder a SavedModel, for TensorFlow Serving too.
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
# Where a release's candidate lies: no version by its name, for TensorFlow Serving neither.
CANDIDATE = "candidate"


@dataclasses.dataclass(frozen=True)
class Release:
    """The model to serve, its verdict, and the name and version it is served as."""

    model_path: str
    blessing_path: str
    model_name: str
    version: str
    infra_path: str = ""  # validate_infra's account; empty for none
    registry_uri: str = ""  # that has the version; empty where it is not asked


@dataclasses.dataclass(frozen=True)
class Served:
    """A version that becomes the served one: its files' fingerprint, and a request with its answer."""

    model_name: str
    version: str
    fingerprint: str
    example: dict[str, Any]


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
            fingerprint = _publish(release, base / release.version)
            served = Served(release.model_name, release.version, fingerprint, example(release))
            return _make_served(root, served, keep_versions)


def publish_candidate(release: Release, serving_root: str) -> str:
    """Puts a blessed model where services find a release's candidate; nothing is served by that.

    Returns:
        The fingerprint of its files.

    Raises:
        ModelNotBlessedError: The verdict is not a yes, or is about another model.
        ConfigurationError: A name, a version or the folder cannot be used.
    """
    blessing.require(release.blessing_path, release.model_path)
    check(release, serving_root, 1)
    if locations.is_remote(serving_root):
        return serving_bucket.upload(_in_bucket(release, serving_root))
    base = locations.local_path(serving_root) / release.model_name
    folder, fingerprint = base / CANDIDATE / release.version, layouts.tree_fingerprint(_saved_model(release))
    with atomic_files.writing_to("the serving folder", base):
        base.mkdir(parents=True, exist_ok=True)
        with atomic_files.locked(base.parent / f".{release.model_name}.lock"):
            for other in folder.parent.glob("*") if folder.parent.is_dir() else ():
                if other != folder or layouts.tree_fingerprint(folder) != fingerprint:
                    _withdraw(other, base)  # of a release that has ended
            _write_manifest(release, base, fingerprint)
            if not folder.is_dir():
                atomic_files.publish(_saved_model(release), folder)
    return fingerprint


def promote_candidate(candidate: Served, serving_root: str, keep_versions: int) -> list[str]:
    """Makes a release's candidate the served version, without a moment in which neither is; what is so is left so.

    Returns:
        The lower versions that stay.

    Raises:
        ConfigurationError: Its files are gone.
    """
    if locations.is_remote(serving_root):
        return serving_bucket.promote(candidate, serving_root, keep_versions)
    root = locations.local_path(serving_root)
    base = root / candidate.model_name
    source, folder = base / CANDIDATE / candidate.version, base / candidate.version
    with (
        atomic_files.writing_to("the serving folder", base),
        atomic_files.locked(root / f".{candidate.model_name}.lock"),
    ):
        if not folder.is_dir():
            if not source.is_dir():
                raise ConfigurationError(
                    f"{source} is gone: the candidate cannot become the served version\n"
                    f"expected: the files that the release began with\n"
                    f"fix: ct release abort {candidate.model_name}, then ct promote {candidate.model_name} "
                    f"{candidate.version}"
                )
            source.rename(folder)
        return _make_served(root, candidate, keep_versions)[1]


def withdraw_candidate(model_name: str, version: str, serving_root: str) -> None:
    """Removes a release's candidate, unless it is the served version; it is no error that it is gone."""
    if locations.is_remote(serving_root):
        serving_bucket.withdraw(serving_root, model_name, version)
        return
    base = locations.local_path(serving_root) / model_name
    folder = base / CANDIDATE / version
    if folder.is_dir():
        with atomic_files.writing_to("the serving folder", folder):
            _withdraw(folder, base)


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


def fingerprint(release: Release) -> str:
    """Returns the fingerprint of a release's files."""
    return layouts.tree_fingerprint(_saved_model(release))


def _saved_model(release: Release) -> Path:
    return Path(release.model_path) / layouts.SERVING_MODEL


def _in_bucket(release: Release, serving_root: str) -> serving_bucket.BucketRelease:
    model = _saved_model(release)
    manifest = _manifest(release, layouts.tree_fingerprint(model))
    found = example(release)
    return serving_bucket.BucketRelease(model, serving_root, release.model_name, release.version, manifest, found)


def _publish(release: Release, folder: Path) -> str:
    fingerprint = layouts.tree_fingerprint(_saved_model(release))
    if not folder.exists():
        _write_manifest(release, folder.parent, fingerprint)
        atomic_files.publish(_saved_model(release), folder)
    elif layouts.tree_fingerprint(folder) != fingerprint:
        raise ConfigurationError(
            f"{folder} holds another model than the one registered as v{release.version}\n"
            "expected: a serving folder that belongs to one registry, and versions that never change\n"
            f"fix: move {folder} away, or name another serving_root"
        )
    else:
        _write_manifest(release, folder.parent, fingerprint)
    return fingerprint


def _write_manifest(release: Release, base: Path, fingerprint: str) -> None:
    """Writes down what the version's files are, before they are there: a service compares them when it loads them."""
    manifest = _manifest(release, fingerprint)
    layouts.write_text(_manifest_path(base, release.version), manifest.to_json().decode())


def _manifest(release: Release, fingerprint: str) -> releases.Manifest:
    card = kept_records.card(release.registry_uri, release.model_name, release.version)
    return dataclasses.replace(releases.manifest_of(_saved_model(release), fingerprint), card=card)


def _manifest_path(base: Path, version: str) -> Path:
    return Path(releases.manifest_uri(str(base.parent), base.name, version))


def _withdraw(folder: Path, base: Path) -> None:
    atomic_files.withdraw(folder)
    if not (base / folder.name).exists() and not (base / CANDIDATE / folder.name).exists():
        _manifest_path(base, folder.name).unlink(missing_ok=True)


def _make_served(root: Path, served: Served, keep_versions: int) -> tuple[dict[str, Any], list[str]]:
    """Says what is served and was before; removes versions that are kept no longer. To be called under the lock."""
    state = {"model": served.model_name, "version": served.version, "previous": _previous(root, served)}
    kept = _prune(root / served.model_name, int(served.version), keep_versions)
    whole = {**state, "fingerprint": served.fingerprint, "example": served.example}
    layouts.write_json(_state_path(root, served), whole)
    return state, kept


def _previous(root: Path, release: Served) -> str:
    path = _state_path(root, release)
    state = layouts.read_json(path) if path.is_file() else {}
    same = state.get("version") == release.version
    return str(state.get("previous" if same else "version", ""))


def _state_path(root: Path, release: Served) -> Path:
    # Beside the model's folder, not in it: TensorFlow Serving reads everything there as a version.
    return root / f"{release.model_name}.json"


def _prune(base: Path, served: int, keep_versions: int) -> list[str]:
    """Withdraws the versions above the served one and the oldest below it; returns the lower ones that stay."""
    versions = sorted(_versions(base), reverse=True)
    lower = [version for version in versions if version < served]
    kept = lower[: keep_versions - 1]
    for version in versions:
        if version != served and version not in kept:
            _withdraw(base / str(version), base)
    return [str(version) for version in kept]


def _versions(base: Path) -> list[int]:
    return [int(path.name) for path in base.iterdir() if _VERSION.fullmatch(path.name)]


def example(release: Release) -> dict[str, Any]:
    """Returns a request of real values and its answer; empty where there was no trial of the service."""
    path = Path(release.infra_path) / layouts.SUMMARY
    return dict(layouts.read_json(path).get("example", {})) if release.infra_path and path.is_file() else {}
