"""Builds, pushes and locks the images: after it, `images.lock` names every image by digest."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import yaml

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.ci.images import inputs, registry
from kfp_ct.data import layouts
from kfp_ct.package.bind import read_whole_lock

PREFIX = "kfp-ct-"
DEFAULT_BASE = "debian:trixie-slim"


class ImageError(CtError):
    """An image cannot be built or pushed."""

    exit_code = 4


@dataclasses.dataclass(frozen=True)
class ImageRequest:
    """Where images go and what they are made from.

    Attributes:
        root: The repository.
        registry: Such as europe-docker.pkg.dev/project/repository, or localhost:5000.
        commit: Tag, and the label `revision`.
        base: The base image; its digest is part of every image's content hash.
        network: Network of build steps, such as cloudbuild or host; empty for the engine's own.
    """

    root: Path
    registry: str
    commit: str
    base: str = DEFAULT_BASE
    network: str = ""


@dataclasses.dataclass(frozen=True)
class Built:
    """An image in its registry: `reference` is by digest, `inputs` its content hash, `reused` if nothing was built."""

    reference: str
    inputs: str
    reused: bool


def build(request: ImageRequest, names: Iterable[str], say: Callable[[str], None]) -> dict[str, Built]:
    """Brings images into the registry, each tagged by its content hash and by the commit.

    One whose content hash is there already only gets the commit as another tag.

    Raises:
        ImageError: It cannot be built or pushed.
        RegistryError: The registry does not answer or refuses.
    """
    client = _client()
    base = _base(client, request.base)
    done = {}
    for name in names:
        content = inputs.content_hash(request.root, name, base)
        repository = f"{request.registry}/{PREFIX}{name}"
        tagged = f"{repository}:in-{content}"
        reused = bool(registry.digest(tagged))
        if reused:
            say(f"{name}: nothing it is made of has changed (in-{content})")
        else:
            say(f"{name}: building in-{content}")
            given = _environment(client, request, name, base, say)
            _build(client, request, name, tagged, given, say)
            _push(client, tagged)
        registry.tag(tagged, request.commit)
        found = registry.digest(f"{repository}:{request.commit}")
        done[name] = Built(f"{repository}@{found}", content, reused)
        say(f"{name}: {done[name].reference}")
    return done


def write_lock(path: Path, built: Mapping[str, Built], base: Mapping[str, str]) -> None:
    """Writes images into the lock file, and what they are made of; those of other names stay in it."""
    before = read_whole_lock(path) if path.is_file() else {}
    images = {**before.get("images", {}), **{name: each.reference for name, each in built.items()}}
    contents = {**before.get("contents", {}), **{name: each.inputs for name, each in built.items()}}
    layouts.write_text(path, yaml.safe_dump({"base": dict(base), "contents": contents, "images": images}))


def base_image(reference: str) -> dict[str, str]:
    """Returns the base image as the lock names it: its reference, and its digest or, of one made here, its id."""
    if "@sha256:" in reference:
        return {"reference": reference, "digest": reference.rpartition("@")[2]}
    image = _client().images.get(reference)
    digests = image.attrs.get("RepoDigests") or [image.id]
    return {"reference": reference, "digest": digests[0].rpartition("@")[2]}


def absent(references: Iterable[str]) -> list[str]:
    """Returns those of some images that their registry does not have.

    Raises:
        UsageError: There is no image to look for.
    """
    references = list(references)
    if not references:
        raise UsageError("there are no images to look for")
    return [reference for reference in references if not registry.digest(reference)]


def _client() -> Any:
    try:
        client = docker.from_env(timeout=3600)
        client.ping()
    except docker.errors.DockerException as error:
        raise UsageError(f"no Docker engine answers: {error}\nfix: start it") from error
    return client


def _base(client: Any, reference: str) -> str:
    """Returns the identity of the base image: its digest, or its id where it was made on this machine."""
    if "@sha256:" in reference:
        return reference
    try:
        image = client.images.get(reference)
    except docker.errors.ImageNotFound:
        try:
            image = client.images.pull(reference)
        except docker.errors.DockerException as error:
            raise ImageError(f"the base image {reference} is not here and cannot be pulled: {error}") from error
    return str(image.id)


def _environment(
    client: Any, request: ImageRequest, name: str, base: str, say: Callable[[str], None]
) -> dict[str, str]:
    """Brings what an image has below its sources into the registry, by content; returns its stage and reference.

    A machine without layers, as every worker of Cloud Build is, then installs no packages again; and whoever pulls the
    image of the next commit pulls only what changed.
    """
    stage = inputs.environment(request.root, name)
    if not stage:
        return {}
    repository = f"{request.registry}/{PREFIX}{stage}"
    tagged = f"{repository}:in-{inputs.content_hash(request.root, stage, base)}"
    found = registry.digest(tagged)
    if found:
        say(f"{name}: its packages are in the registry")
    else:
        _build(client, request, stage, tagged, {}, say)
        _push(client, tagged)
        found = registry.digest(tagged)
    return {stage: f"{repository}@{found}"}


def _build(
    client: Any, request: ImageRequest, name: str, tagged: str, given: Mapping[str, str], say: Callable[[str], None]
) -> None:
    arguments = {"BASE": request.base, "REVISION": request.commit}
    with tempfile.TemporaryDirectory() as folder:
        stages = Path(folder) / inputs.DOCKERFILE
        stages.write_text(inputs.dockerfile(request.root, name, given))
        stream = client.api.build(
            path=str(request.root), dockerfile=str(stages), target=name, tag=tagged, rm=True, decode=True,
            buildargs=arguments, network_mode=request.network or None,
        )  # fmt: skip
        _follow(stream, name, say)


def _follow(stream: Iterable[dict[str, Any]], name: str, say: Callable[[str], None]) -> None:
    for event in stream:
        if "error" in event:
            raise ImageError(f"the image {name} cannot be built: {event['error'].strip()}")
        if (text := event.get("stream", "").strip()).startswith("Step "):
            say(f"{name}: {text}")


def _push(client: Any, tagged: str) -> None:
    for event in client.api.push(tagged, stream=True, decode=True):
        if "error" in event:
            raise ImageError(f"{tagged} cannot be pushed: {json.dumps(event['error'])}")
