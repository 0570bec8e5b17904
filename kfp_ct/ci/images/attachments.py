"""What is said of an image, attached to it in its registry: an artifact that refers to it (OCI 1.1), as oras finds it.

A registry that lists referrers does so by itself; for others an index of them is kept under the tag `sha256-<digest>`,
as the specification has it: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

import base64
import dataclasses
import hashlib
import json
import urllib.parse
from typing import Any

import requests

from kfp_ct.ci.images import registry
from kfp_ct.ci.images.registry import Reference, RegistryError

SBOM, ENVELOPE = "application/vnd.cyclonedx+json", "application/vnd.dsse.envelope.v1+json"
_MANIFEST, _INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_EMPTY_TYPE, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_SUBJECT = "OCI-Subject"
Descriptor = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Attachment:
    """A file to attach: its media type, its content, and what it is called."""

    kind: str
    content: bytes
    title: str


def attach(reference: str, attachment: Attachment) -> str:
    """Attaches a file to an image; returns the attachment's digest. Again, this changes nothing.

    Args:
        reference: The image, by digest.
        attachment: The file.

    Raises:
        RegistryError: The image is not there, or the registry refuses.
    """
    image = registry.parse(reference)
    found = registry.manifest("GET", image)
    registry.require(found, reference)
    subject = _descriptor(found.headers["Content-Type"], found.content)
    if image.version != subject["digest"]:
        raise RegistryError(f"{reference} is named by a tag\nexpected: an image by digest, as images.lock has it")
    for content in (_EMPTY, attachment.content):
        _upload(image, content)
    body = json.dumps(_manifest(attachment, subject), sort_keys=True, separators=(",", ":")).encode()
    made = _descriptor(_MANIFEST, body) | {"artifactType": attachment.kind}
    answer = registry.manifest("PUT", dataclasses.replace(image, version=made["digest"]), body, _MANIFEST)
    registry.require(answer, f"an attachment of {reference}")
    if answer.headers.get(_SUBJECT) != subject["digest"] and made["digest"] not in _digests(_listed(image)):
        _add_to_index(image, made)
    return str(made["digest"])


def attached(reference: str, kind: str) -> list[bytes]:
    """Returns the files of a kind that are attached to an image, each held to its digest.

    Raises:
        RegistryError: The registry refuses, or gives something else than was attached.
    """
    image = registry.parse(reference)
    found = []
    for each in _listed(image):
        if each.get("artifactType") == kind:
            manifest = registry.manifest("GET", dataclasses.replace(image, version=each["digest"]))
            registry.require(manifest, f"an attachment of {reference}")
            layer = json.loads(_held(manifest.content, each["digest"]))["layers"][0]["digest"]
            blob = _blob("GET", image, layer)
            registry.require(blob, f"an attachment of {reference}")
            found.append(_held(blob.content, layer))
    return found


def _manifest(attachment: Attachment, subject: Descriptor) -> dict[str, Any]:
    empty = _descriptor(_EMPTY_TYPE, _EMPTY) | {"data": base64.b64encode(_EMPTY).decode()}
    layer = _descriptor(attachment.kind, attachment.content)
    layer["annotations"] = {"org.opencontainers.image.title": attachment.title}
    return {
        "schemaVersion": 2, "mediaType": _MANIFEST, "artifactType": attachment.kind, "config": empty,
        "layers": [layer], "subject": subject,
    }  # fmt: skip


def _listed(image: Reference) -> list[Descriptor]:
    """Returns the descriptors of what refers to an image."""
    answer = registry.request("GET", image, f"referrers/{image.version}", {"Accept": _INDEX})
    if answer.ok and answer.headers.get("Content-Type", "").startswith(_INDEX):
        return list(answer.json().get("manifests", []))
    kept = registry.manifest("GET", _index_tag(image))
    if kept.status_code == requests.codes.not_found:
        return []
    registry.require(kept, f"what refers to {image.repository}@{image.version}")
    return list(kept.json().get("manifests", []))


def _add_to_index(image: Reference, made: Descriptor) -> None:
    manifests = [*_listed(image), made]
    body = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}).encode()
    registry.require(registry.manifest("PUT", _index_tag(image), body, _INDEX), f"the index of {image.repository}")


def _index_tag(image: Reference) -> Reference:
    return dataclasses.replace(image, version=image.version.replace(":", "-"))


def _digests(listed: list[Descriptor]) -> list[str]:
    return [str(each["digest"]) for each in listed]


def _upload(image: Reference, content: bytes) -> None:
    digest = _digest(content)
    if _blob("HEAD", image, digest).ok:
        return
    begun = registry.request("POST", image, "blobs/uploads/", {})
    registry.require(begun, f"an upload to {image.repository}")
    place = urllib.parse.urljoin(begun.url, begun.headers["Location"])
    query = {"digest": digest}
    done = registry.send("PUT", place, image.host, {"Content-Type": "application/octet-stream"}, content, query)
    registry.require(done, f"an upload to {image.repository}")


def _blob(method: str, image: Reference, digest: str) -> requests.Response:
    return registry.request(method, image, f"blobs/{digest}", {})


def _descriptor(kind: str, content: bytes) -> Descriptor:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _held(content: bytes, digest: str) -> bytes:
    if _digest(content) != digest:
        raise RegistryError(f"the registry gives something else for {digest}\nfix: find out who changed it")
    return content
