"""What is asked of an image registry: the digest of a tag, and another tag for a digest.

The distribution API, https://github.com/opencontainers/distribution-spec; Artifact Registry speaks it too.
"""

import contextlib
import dataclasses
import re
import urllib.parse
from collections.abc import Mapping

import requests

from kfp_ct.base.errors import ConfigurationError, CtError, UsageError
from kfp_ct.cloud import access_token

_MANIFESTS = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_REFERENCE = re.compile(
    r"(?P<host>[\w.-]+(?::\d+)?)/(?P<name>[^@:]+)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_TIMEOUT = 30


class RegistryError(CtError):
    """A registry does not answer or refuses."""

    exit_code = 4


@dataclasses.dataclass(frozen=True)
class Reference:
    """An image reference taken apart; `version` is its digest, else its tag."""

    host: str
    name: str
    version: str

    @property
    def repository(self) -> str:
        """The reference without tag and digest."""
        return f"{self.host}/{self.name}"


def parse(text: str) -> Reference:
    """Takes a reference apart.

    Raises:
        UsageError: It names no registry.
    """
    match = _REFERENCE.fullmatch(text)
    host = match["host"] if match else ""
    if match is None or not ("." in host or ":" in host or host == "localhost"):
        raise UsageError(
            f"{text!r} names no registry\nexpected: such as europe-docker.pkg.dev/project/repository/image"
        )
    return Reference(host, match["name"], match["digest"] or match["tag"] or "latest")


def digest(reference: str) -> str:
    """Returns the digest of an image in its registry; empty if it is not there.

    Raises:
        RegistryError: The registry does not answer or refuses.
    """
    image = parse(reference)
    answer = manifest("HEAD", image)
    if answer.status_code == requests.codes.not_found:
        return ""
    require(answer, reference)
    return answer.headers.get("Docker-Content-Digest", "")


def tag(reference: str, version: str) -> None:
    """Gives an image that is in its registry another tag.

    Raises:
        RegistryError: It is not there, or the registry refuses.
    """
    image = parse(reference)
    found = manifest("GET", image)
    require(found, reference)
    target = dataclasses.replace(image, version=version)
    require(manifest("PUT", target, found.content, found.headers["Content-Type"]), f"{image.repository}:{version}")


def manifest(method: str, image: Reference, body: bytes | None = None, kind: str = "") -> requests.Response:
    """Asks for, or writes, the manifest of a tag or digest."""
    headers = {"Accept": _MANIFESTS, **({"Content-Type": kind} if kind else {})}
    return request(method, image, f"manifests/{image.version}", headers, body)


def request(
    method: str, image: Reference, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> requests.Response:
    """Sends a request about an image's repository."""
    scheme = "http" if image.host.rpartition(":")[0] in _LOOPBACK or image.host in _LOOPBACK else "https"
    return send(method, f"{scheme}://{image.host}/v2/{image.name}/{path}", image.host, headers, body)


def send(
    method: str,
    url: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    query: Mapping[str, str] | None = None,
) -> requests.Response:
    """Sends a request to an address that a registry named, with its authorization where that is the registry's own.

    Raises:
        RegistryError: It does not answer.
    """
    own = _authorization(host) if urllib.parse.urlsplit(url).netloc == host else {}
    try:
        return requests.request(
            method, url, data=body, headers={**headers, **own}, params=query and dict(query), timeout=_TIMEOUT
        )
    except requests.RequestException as error:
        raise RegistryError(f"the registry {host} does not answer: {error}") from error


def require(answer: requests.Response, what: str) -> None:
    """Demands that a registry did what it was asked.

    Raises:
        RegistryError: It says why not.
    """
    if not answer.ok:
        message = answer.text.strip()[:200]
        raise RegistryError(f"the registry says {answer.status_code} to {what}: {message}".rstrip(": "))


def _authorization(host: str) -> dict[str, str]:
    """Returns the header Google's registries want: the access token of whoever runs this."""
    if not host.endswith((".pkg.dev", "gcr.io")):
        return {}
    with contextlib.suppress(ConfigurationError):  # the registry may be open
        return {"Authorization": f"Bearer {access_token.of_account()}"}
    return {}
