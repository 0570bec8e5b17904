"""A running prediction service as a client sees it: TensorFlow Serving's REST API."""

import dataclasses
import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

MODEL = "model"


class ServerError(Exception):
    """The service does not start or does not answer; the message says why."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A running service.

    Attributes:
        url: The model's address: `http://host:port/v1/models/name`.
        peak_memory_mb: Reads the largest resident memory so far; None where it cannot be seen. Raises a ServerError if
            the service is gone.
        load_s: Seconds from its start until it answered for the model; None where it was started by others.
        nulls: Whether a missing value may be sent as null; TensorFlow Serving refuses it.
        warm: Whether it was forked from a process that had imported TensorFlow, which `load_s` then leaves out.
    """

    url: str
    peak_memory_mb: Callable[[], float | None]
    load_s: float | None = None
    nulls: bool = True
    warm: bool = False


class Client:
    """One kept connection to a service.

    Args:
        url: The model's address: `http://host:port/v1/models/name`.
        seconds: What an answer may take.
    """

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection, self._path = kind(parts.netloc, timeout=seconds), parts.path.rstrip("/")

    def predict(self, instances: list[Any], signature: str) -> list[Any]:
        """Returns one prediction a row.

        Raises:
            ServerError: The service gives no answer, an error, or another number of predictions.
        """
        body = json.dumps({"signature_name": signature, "instances": instances})
        status, answer = self._ask("POST", f"{self._path}:predict", body)
        predictions = answer.get("predictions")
        if status != http.client.OK or not isinstance(predictions, list):
            raise ServerError(f"HTTP {status}: {str(answer.get('error', answer))[:500]}")
        if len(predictions) != len(instances):
            raise ServerError(f"{len(instances)} rows were sent, {len(predictions)} predictions came back")
        return predictions

    def ready(self) -> bool:
        """Whether it is this project's service, and has loaded its models."""
        return self._ask("GET", "/readyz", None)[0] == http.client.OK

    def state(self) -> str:
        """Returns the state of the model's first version, such as AVAILABLE; empty if there is none."""
        versions = self._ask("GET", self._path, None)[1].get("model_version_status")
        return str(versions[0].get("state", "")) if isinstance(versions, list) and versions else ""

    def signatures(self) -> dict[str, Any]:
        """Returns the loaded model's signatures as the metadata API has them.

        Raises:
            ServerError: There is no answer, or none with signatures.
        """
        status, answer = self._ask("GET", f"{self._path}/metadata", None)
        try:
            return dict(answer["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, ValueError) as error:
            message = str(answer.get("error", answer))[:500]
            raise ServerError(f"HTTP {status} from {self._path}/metadata, without signatures: {message}") from error

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        try:
            self._connection.request(method, path, body)
            response = self._connection.getresponse()
            body_read = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ServerError(f"no answer: {error or type(error).__name__}") from error
        try:
            answer = json.loads(body_read)
        except ValueError:
            return response.status, {"error": f"no JSON: {body_read[:100]!r}"}
        return response.status, answer if isinstance(answer, dict) else {}
