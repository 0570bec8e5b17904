"""What a build delivers after its last step: images to their registry, files to Cloud Storage.

As in Cloud Build, that is after all steps: a step that needs an image in the registry has to push it itself.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.errors import CtError
from kfp_ct.ci.cloudbuild.config import Build


class DeliveryError(CtError):
    """Images or files could not be delivered."""

    exit_code = 4


def undeliverable(build: Build, engine: str) -> str:
    """Returns what this machine cannot deliver, in words; empty if it can deliver all of it."""
    if build.packages:
        return f"artifacts.{build.packages[0]} are published by Cloud Build only"
    if build.images and not engine:
        return f"{len(build.images)} images are not pushed: no container engine answers on this machine"
    return ""


def push_images(images: list[str], engine: str) -> dict[str, str]:
    """Pushes images; returns the digest of each.

    Raises:
        DeliveryError: An image is not there, or the registry refuses it.
    """
    digests = {}
    for image in images:
        _engine([engine, "push", image], f"the image {image} cannot be pushed")
        inspect = [engine, "image", "inspect", "--format", "{{json .RepoDigests}}", image]
        shown = _engine(inspect, f"no digest of {image}")
        # Of all the names an image has, the one in the registry it was pushed to.
        repository = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
        digests[image] = next((each for each in json.loads(shown) if each.startswith(f"{repository}@")), "")
        if not digests[image]:
            raise DeliveryError(f"the registry gave no digest for {image}")
    return digests


def upload(objects: dict[str, list[str]], workspace: Path) -> int:
    """Uploads files that match patterns to gs:// folders; returns how many.

    Raises:
        DeliveryError: A pattern matches nothing, or Cloud Storage refuses.
    """
    return sum(len(to_bucket(_matching(patterns, workspace), location)) for location, patterns in objects.items())


def to_bucket(paths: list[Path], location: str) -> list[str]:
    """Uploads files, and folders with all that is below them, into a gs:// folder under their own names.

    Returns:
        Where the files are.

    Raises:
        DeliveryError: Cloud Storage refuses or does not answer.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import storage

    bucket, _, folder = location.removeprefix("gs://").strip("/").partition("/")
    done = []
    for path, below in _named(paths):
        name = f"{folder}/{below}".lstrip("/")
        try:
            storage.Client().bucket(bucket).blob(name).upload_from_filename(str(path))
        except (GoogleAPIError, GoogleAuthError, OSError) as error:
            raise DeliveryError(f"{below} cannot be uploaded to {location}: {error}") from error
        done.append(f"gs://{bucket}/{name}")
    return done


def _named(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    for path in map(Path.absolute, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                yield file, file.relative_to(path.parent).as_posix()


def _matching(patterns: list[str], workspace: Path) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(path for path in workspace.glob(pattern.removeprefix("/workspace/")) if path.is_file())
        if not matches:
            raise DeliveryError(f"artifacts.objects: no file matches {pattern}")
        found += matches
    return list(dict.fromkeys(found))


def _engine(command: list[str], what: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DeliveryError(f"{what}: {(result.stderr or result.stdout).strip().rpartition(chr(10))[2]}")
    return result.stdout
