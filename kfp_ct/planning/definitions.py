"""Where a target keeps a project's triggers and notices, and what of them a plan would change."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import kfp_server_api

from kfp_ct.base import redaction
from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.deploy import kfp_api
from kfp_ct.notices import settings as notices
from kfp_ct.planning.changes import CREATE, DELETE, UPDATE, Change, compare
from kfp_ct.project import applied
from kfp_ct.project.workspace import Workspace
from kfp_ct.storage import storage
from kfp_ct.watch import policy

KINDS = {policy.FILE: ("triggers", policy.parse), notices.FILE: ("notices", notices.parse)}


class Definitions(Protocol):
    """What keeps the definitions of one project."""

    keeps: tuple[str, ...]  # the names of the files it keeps

    def read(self, name: str) -> str | None:
        """Returns a definition's text; None if there is none."""

    def write(self, name: str, text: str | None) -> None:
        """Keeps a definition in place of the one before; None removes it."""


class EndpointDefinitions:
    """The definitions that `ct up` obeys, over its API."""

    keeps: tuple[str, ...] = tuple(KINDS)

    def __init__(self, service: Any, project: str) -> None:
        self._service = service
        self._project = project

    def read(self, name: str) -> str | None:
        """Returns a definition's text; None if there is none."""
        try:
            answer = self._call("GET", name)
        except kfp_server_api.ApiException as error:
            if error.status == kfp_api.NOT_FOUND:
                return None
            with kfp_api.speaking(self._service.host):
                raise
        text = json.loads(answer)["text"]
        return None if text is None else str(text)

    def write(self, name: str, text: str | None) -> None:
        """Keeps a definition in place of the one before; None removes it."""
        with kfp_api.speaking(self._service.host):
            self._call("DELETE" if text is None else "PUT", name, None if text is None else {"text": text})

    def _call(self, method: str, name: str, body: Any = None) -> bytes:
        path = f"/apis/ct/v1/projects/{quote(self._project, safe='')}/definitions/{quote(name, safe='')}"
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        answer = self._service.client.pipelines.api_client.call_api(
            path, method, header_params=headers, body=body, auth_settings=["Bearer"],
            _preload_content=False, _return_http_data_only=True,
        )  # fmt: skip
        return bytes(answer.data)


class StoredDefinitions:
    """The triggers that a watch of Kubeflow Pipelines or Vertex AI obeys: an object beside its firings."""

    keeps: tuple[str, ...] = (policy.FILE,)

    def __init__(self, state: str) -> None:
        self._prefix = state.removesuffix(".json")

    def read(self, name: str) -> str | None:
        """Returns a definition's text; None if there is none."""
        content = storage.read(f"{self._prefix}.{name}")
        return content.data.decode() if content else None

    def write(self, name: str, text: str | None) -> None:
        """Keeps a definition in place of the one before; None removes it.

        Raises:
            TargetError: Somebody else changed it meanwhile.
        """
        uri = f"{self._prefix}.{name}"
        if text is None:
            storage.delete(uri)
            return
        before = storage.read(uri)
        data = text.encode()
        written = storage.replace(uri, data, before.version) if before else storage.create(uri, data)
        if not written and self.read(name) != text:  # the store's answer may have been lost
            raise TargetError(f"{uri} was changed by somebody else meanwhile\nfix: ct plan, and ct apply again")


def changes(definitions: Definitions, workspace: Workspace, project: str) -> Iterator[tuple[Change, str | None]]:
    """Yields what differs, each with the text that is to be written; None removes it.

    Raises:
        UsageError: A file of the project is not valid.
    """
    for name in definitions.keeps:
        kind, parse = KINDS[name]
        path = applied.checkout_file(workspace, project, name)
        text = path.read_text() if path.is_file() else None
        new = _tree(parse(text, path)) if text is not None else None
        kept = definitions.read(name)
        if kept != text:
            old = _kept(parse, kept, name)
            action = CREATE if kept is None else DELETE if text is None else UPDATE
            found = compare(redaction.redact_tree(old or {}), redaction.redact_tree(new or {}))
            yield Change(action, kind, project, found, "" if found else "its comments or layout"), text


def unkept(definitions: Definitions | None, workspace: Workspace, project: str) -> list[str]:
    """Says which definitions of a project a target does not keep."""
    kept = definitions.keeps if definitions else ()
    missing = [name for name in KINDS if name not in kept and applied.checkout_file(workspace, project, name).is_file()]
    return [f"{name}: the target keeps none; what runs `ct watch` or `ct up` obeys its own file" for name in missing]


def _kept(parse: Any, text: str | None, name: str) -> Any:
    try:
        return _tree(parse(text, Path(name))) if text is not None else None
    except UsageError:  # of another release, or edited there: it is replaced whole
        return None


def _tree(model: Any) -> Any:
    return model.model_dump(mode="json", exclude_defaults=True)
