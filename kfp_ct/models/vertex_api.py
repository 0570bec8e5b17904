"""Vertex AI's REST API (v1), as far as models and endpoints go: google-auth signs, Google's client is not imported.

The client takes seconds to import, and a task makes a dozen requests. Tests hold every request and answer to the
messages of google.cloud.aiplatform_v1.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from kfp_ct.base.errors import ComponentError, ConfigurationError, NotServedError
from kfp_ct.cloud import rest

Resource = dict[str, Any]
_QUOTA, _SECONDS, _READS = 429, 60, 5


class UnavailableError(NotServedError):
    """Vertex AI did not answer, or not for now; what was asked may have been done."""


class ConflictError(ComponentError):
    """Something of that name is there already, or was changed since it was read."""


class OperationFailedError(NotServedError):
    """A long-running operation ended with an error."""


class Place(Protocol):
    """Where Vertex AI is asked, as settings say it."""

    @property
    def project(self) -> str:
        """Google Cloud project."""

    @property
    def location(self) -> str:
        """Region."""

    @property
    def api_endpoint(self) -> str:
        """Address of the API; empty for that of the region."""


class VertexApi:
    """One project and location."""

    def __init__(self, chosen: Place, poll_seconds: float, section: str = "serving.vertex") -> None:
        """Calls nothing; `section` is how messages call the settings."""
        self._section = section
        self.parent = f"projects/{chosen.project}/locations/{chosen.location}"
        self._host = chosen.api_endpoint or f"https://{chosen.location}-aiplatform.googleapis.com"
        self._poll = poll_seconds

    def get(self, name: str, query: Mapping[str, str] | None = None) -> Resource | None:
        """Returns a resource; None where there is none. Asked again while the service is away.

        Raises:
            UnavailableError: It stays away.
            ConfigurationError: It is forbidden.
        """
        for left in reversed(range(_READS)):
            try:
                return self._send("GET", name, None, query)
            except UnavailableError:
                if not left:
                    raise
                time.sleep(self._poll)
        raise AssertionError  # the loop returns or raises

    def every(self, path: str, field: str, query: Mapping[str, str] | None = None) -> Iterator[Resource]:
        """Yields what a list has, page after page; nothing where there is none."""
        token = ""
        while True:
            found = self.get(path, {**(query or {}), **({"pageToken": token} if token else {})}) or {}
            yield from found.get(field, [])
            token = found.get("nextPageToken", "")
            if not token:
                return

    def post(self, path: str, body: Resource, query: Mapping[str, str] | None = None) -> Resource:
        """Sends a request that may not be sent twice.

        Raises:
            ConflictError: What it makes is there already.
            NotServedError: A quota is used up, or the service did not answer.
            ConfigurationError: It is forbidden or does not fit.
        """
        return self._found(self._send("POST", path, body, query), path)

    def patch(self, name: str, body: Resource, mask: str) -> Resource:
        """Changes the named fields of a resource."""
        return self._found(self._send("PATCH", name, body, {"updateMask": mask}), name)

    def settle(self, name: str, deadline: float) -> None:
        """Waits for the operations on a resource that go on, such as those of a command that was killed."""
        for operation in self.every(f"{name}/operations", "operations"):
            with contextlib.suppress(OperationFailedError):  # what is to be done about it is seen in the resource
                self.wait(operation, deadline)

    def wait(self, operation: Resource, deadline: float) -> Resource:
        """Waits for the end of an operation; returns its response.

        Raises:
            OperationFailedError: It failed.
            UnavailableError: It was not at its end by then.
        """
        while not operation.get("done"):
            if time.monotonic() > deadline:
                raise UnavailableError(f"{operation['name']} was not at its end in time")
            time.sleep(self._poll)
            operation = self.get(operation["name"]) or {"name": operation["name"], "done": True}
        if error := operation.get("error"):
            raise OperationFailedError(f"{error.get('message', 'it failed')} (code {error.get('code')})")
        return dict(operation.get("response") or {})

    def _found(self, answer: Resource | None, path: str) -> Resource:
        if answer is None:
            raise ConfigurationError(
                f"Vertex AI has no {path}\nexpected: a project and location that exist, with Vertex AI's API enabled\n"
                f"fix: correct {self._section}, or gcloud services enable aiplatform.googleapis.com"
            )
        return answer

    def _send(self, method: str, path: str, body: Resource | None, query: Mapping[str, str] | None) -> Resource | None:
        import requests
        from google.auth.exceptions import GoogleAuthError

        try:
            answer = rest.session(self._host.startswith("http://")).request(
                method, f"{self._host}/v1/{path}", json=body, params=dict(query or {}), timeout=_SECONDS
            )
        except (requests.RequestException, OSError) as error:
            raise UnavailableError(f"Vertex AI did not answer: {error}\nfix: run again; it goes on") from error
        except GoogleAuthError as error:
            raise rest.no_credentials(error) from error
        if answer.status_code == requests.codes.not_found:
            return None
        if not answer.ok:
            raise _refusal(answer.status_code, rest.message(answer), f"{method} {path}", self._section)
        return dict(answer.json())


def _refusal(status: int, message: str, request: str, section: str) -> ComponentError:
    if status == _QUOTA:
        return NotServedError(
            f"Vertex AI refuses {request}: a quota is used up: {message}\nexpected: quota for the replicas asked for\n"
            f"fix: undeploy what is not needed, ask for less ({section}), or raise the quota; then run again"
        )
    if status == 409:
        return ConflictError(f"{request}: {message}")
    if status in (401, 403):
        return ConfigurationError(
            f"Vertex AI forbids {request}: {message}\nexpected: roles/aiplatform.user on the project\n"
            "fix: give it to the account of the task; see docs/google-cloud.md, rights"
        )
    if status >= 500:
        return UnavailableError(f"Vertex AI is away ({status}) for {request}: {message}\nfix: run again; it goes on")
    return ConfigurationError(f"Vertex AI refuses {request} ({status}): {message}\nfix: correct {section}")
