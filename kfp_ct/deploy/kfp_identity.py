"""What answers at an address: Kubeflow Pipelines and which release, `ct up`, or something else."""

import dataclasses
import html.parser
import json
from typing import Any

import kfp
import kfp_server_api

from kfp_ct.base.errors import RequestRefusedError, UsageError
from kfp_ct.deploy import kfp_api, target

HEALTH = "/apis/v2beta1/healthz"
# What `ct up` says of itself there.
SERVED_BY, OURS = "X-Served-By", "kfp-ct"
_REFUSED = 400


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer to a request that the SDK has no function for."""

    status: int
    kind: str
    body: bytes
    served_by: str = ""


@dataclasses.dataclass(frozen=True)
class Server:
    """What answers: `ct up`, or a release of Kubeflow Pipelines as far as it says which."""

    is_local: bool
    release: str = ""
    several_users: bool = False

    @property
    def name(self) -> str:
        """Names it for people."""
        return "`ct up`" if self.is_local else f"Kubeflow Pipelines {self.release}".strip()


class _Title(html.parser.HTMLParser):
    """Reads a page's title."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False
        self._parts: list[str] = []

    @classmethod
    def of(cls, text: str) -> str:
        parser = cls()
        parser.feed(text)
        return " ".join("".join(parser._parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._parts.append(data)


def fetch(client: kfp.Client, host: str, path: str) -> Answer:
    """Asks for a path with the client's credentials.

    Raises:
        TargetError: Nothing answers, or the service fails or refuses the credentials.
    """
    api = client.pipelines.api_client
    with kfp_api.speaking(host):
        try:
            found = api.call_api(
                path, "GET", header_params={"Accept": "application/json, text/plain"}, auth_settings=["Bearer"],
                _preload_content=False, _return_http_data_only=True,
            )  # fmt: skip
        except kfp_server_api.ApiException as error:
            if error.status != kfp_api.NOT_FOUND:
                raise
            return Answer(kfp_api.NOT_FOUND, str((error.headers or {}).get("Content-Type", "")), _bytes(error.body))
    if found.status >= _REFUSED:
        with kfp_api.speaking(host):
            raise kfp_server_api.ApiException(status=found.status, reason=found.reason)
    headers = found.headers
    return Answer(found.status, str(headers.get("Content-Type", "")), found.data, str(headers.get(SERVED_BY, "")))


def identify(client: kfp.Client, host: str) -> Server:
    """Asks a service what it is.

    Raises:
        RequestRefusedError: It is not Kubeflow Pipelines' API.
        TargetError: Nothing answers, or it fails.
    """
    answer = fetch(client, host, HEALTH)
    try:
        found: Any = json.loads(answer.body)
    except ValueError:
        found = None
    if answer.status == kfp_api.NOT_FOUND or not isinstance(found, dict) or "multi_user" not in found:
        raise RequestRefusedError(_other(host, answer))
    release = str(found.get("tag_name") or "")
    known = release if release != "unknown" else ""
    return Server(answer.served_by == OURS, known, bool(found["multi_user"]))


def require_kind(client: kfp.Client, host: str, kind: str) -> Server:
    """Asks a service what it is, and raises unless it is what a target means.

    Raises:
        UsageError: It is a cluster's for the target local, or `ct up` for the target kfp.
        TargetError: It is something else, or does not answer.
    """
    found = identify(client, host)
    if kind == target.LOCAL and not found.is_local:
        raise UsageError(
            f"{host} is {found.name}, not `ct up`: tasks run there on other machines\n"
            "expected: the service of `ct up`\nfix: --target kfp, with settings and images for a cluster"
        )
    if kind == target.KFP and found.is_local:
        raise UsageError(
            f"{host} is `ct up`, which runs tasks on its own machine and ignores what settings say of pods\n"
            "expected: Kubeflow Pipelines on a cluster\nfix: --target local"
        )
    return found


def _other(host: str, answer: Answer) -> str:
    text = answer.body.decode(errors="replace")
    title = _Title.of(text)
    if title or "html" in answer.kind:
        named = f" ({title[:60]})" if title else ""
        return (
            f"{host} answers with a web page{named}, not as Kubeflow Pipelines' API\n"
            "expected: credentials, or the address of the API\n"
            "fix: --auth dex with $CT_COOKIE, --auth iap or token behind a login; else --host http://127.0.0.1:8888 "
            "after `kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888`"
        )
    said = f"{answer.status}" if answer.status == kfp_api.NOT_FOUND else repr(text[:60])
    return (
        f"{host} answers {said} to {HEALTH}: it is not Kubeflow Pipelines' API\n"
        "fix: give --host the address of the API, without a path of its UI"
    )


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body or "").encode()
