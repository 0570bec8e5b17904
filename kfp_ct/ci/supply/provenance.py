"""Provenance: what was built, from what, by whom; an in-toto statement with SLSA's predicate.

https://slsa.dev/spec/v1.0/provenance; the build type is the one SLSA describes for Cloud Build's triggered builds.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.data import layouts

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1"
CLOUD_BUILD = "https://cloudbuild.googleapis.com/GoogleHostedWorker"
THIS_MACHINE = "urn:kfp-ct:ct-build"
# What a build on this machine has for $LOCATION.
LOCAL = "local"
INPUTS = ("infra/build-inputs", "requirements")
FILES = ("Dockerfile", "cloudbuild.yaml", "infra/scan-policy.yaml")


@dataclasses.dataclass(frozen=True)
class Build:
    """Which build it was, as Cloud Build's substitutions name it."""

    id: str
    commit: str
    repository: str
    reference: str
    project: str
    location: str
    substitutions: Mapping[str, str]


def statement(
    root: Path, build: Build, lock: Mapping[str, Any], files: Iterable[Path], evidence: Iterable[Path]
) -> dict[str, Any]:
    """Returns the statement.

    Args:
        root: The workspace that was built.
        build: Which build it was.
        lock: The image lock: images by digest, the base image, what the images are made of.
        files: What was built beside images, such as the package.
        evidence: What else the build left: bills of materials, the account of the scan.

    Raises:
        UsageError: The commit is no commit, a file is not there, or nothing was built.
    """
    if len(build.commit) != 40 or set(build.commit) - set("0123456789abcdef"):
        raise UsageError(f"--commit {build.commit!r}\nexpected: a whole commit, 40 hexadecimal digits")
    images = [_image(reference) for _, reference in sorted(lock["images"].items())]
    subjects = [*images, *(_file(each, each.name) for each in files)]
    source = {"uri": f"git+{build.repository}", "digest": {"gitCommit": build.commit}}
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "buildConfigSource": {
                        "repository": build.repository, "ref": build.reference, "path": "cloudbuild.yaml"
                    },
                    "substitutions": dict(build.substitutions),
                },
                "internalParameters": {
                    "systemSubstitutions": {
                        "BUILD_ID": build.id, "COMMIT_SHA": build.commit, "LOCATION": build.location,
                        "PROJECT_ID": build.project,
                    },
                    "imageContents": lock.get("contents", {}),
                },
                "resolvedDependencies": [source, _base(lock.get("base", {})), *_inputs(root)],
            },
            "runDetails": {
                "builder": {"id": THIS_MACHINE if build.location == LOCAL else CLOUD_BUILD},
                "metadata": {
                    "invocationId": f"projects/{build.project}/locations/{build.location}/builds/{build.id}"
                },
                "byproducts": [_file(each, each.name) for each in evidence],
            },
        },
    }  # fmt: skip


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Writes the statement."""
    layouts.write_json(path, value)


def _inputs(root: Path) -> list[dict[str, Any]]:
    found = [root / name for name in FILES if (root / name).is_file()]
    found += [path for name in INPUTS for path in sorted((root / name).rglob("*")) if path.is_file()]
    return [_file(path, path.relative_to(root).as_posix()) for path in found]


def _base(base: Mapping[str, str]) -> dict[str, Any]:
    if not base.get("digest"):
        raise UsageError("the image lock does not say which base image was used\nfix: ct images build")
    return {"name": "base image", "uri": f"docker://{base['reference']}", "digest": _digest(base["digest"])}


def _image(reference: str) -> dict[str, Any]:
    name, _, digest = reference.partition("@")
    return {"name": name, "digest": _digest(digest)}


def _digest(text: str) -> dict[str, str]:
    kind, _, value = text.rpartition("@")[2].partition(":")
    return {kind: value}


def _file(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    return {"name": name, "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
