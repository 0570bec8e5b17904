"""Buckets of Cloud Storage by Google's own client; STORAGE_EMULATOR_HOST names another server, as for all its clients.

obstore speaks Cloud Storage's XML API, which no emulator serves whole, and knows fewer kinds of credentials.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.storage import locations, problems
from kfp_ct.storage.objects import ABSENT, Content, StoredObject

_TOO_MANY = (429, 500, 502, 503, 504)


class GcsStore:
    """One bucket, through google-cloud-storage."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def stat(self, name: str) -> StoredObject | None:
        """Looks at an object; None if there is none."""
        from google.api_core.exceptions import NotFound

        try:
            with _explained(self._uri(name), "read"):
                blob = self._blob(name)
                blob.reload()
        except NotFound:
            return None
        return self._object(blob)

    def list(self, folder: str, deep: bool = True) -> list[StoredObject]:
        """Returns the objects below a folder ("" for the bucket), sorted by name; its own ones only if not `deep`."""
        from google.api_core.exceptions import NotFound

        prefix = f"{folder.rstrip('/')}/" if folder.rstrip("/") else ""
        try:
            with _explained(self._uri(folder), "read"):
                found = list(_client().list_blobs(self._bucket, prefix=prefix, delimiter=None if deep else "/"))
        except NotFound as error:
            raise problems.no_bucket(self._uri(folder)) from error
        return sorted((self._object(each) for each in found if each.name[-1:] != "/"), key=lambda each: each.name)

    def read(self, name: str) -> Content | None:
        """Reads an object; None if there is none."""
        from google.api_core.exceptions import NotFound

        try:
            with _explained(self._uri(name), "read"):
                blob = self._blob(name)
                data = bytes(blob.download_as_bytes())
        except NotFound:
            return None
        return Content(data, str(blob.generation))

    def download(self, item: StoredObject, path: Path) -> None:
        """Copies this version of an object to a file; its checksum is verified."""
        from google.api_core.exceptions import NotFound

        try:
            with _explained(item.uri, "read"):
                self._blob(item.name, int(item.version)).download_to_filename(str(path))
        except NotFound as error:
            raise problems.overwritten(item.uri) from error

    def write(self, name: str, data: bytes | Path, expected: str | None) -> bool:
        """Writes an object whole or not at all, if it is as expected."""
        from google.api_core.exceptions import NotFound, PreconditionFailed
        from google.cloud.storage.retry import DEFAULT_RETRY

        generation = None if expected is None else 0 if expected == ABSENT else int(expected)
        condition: Any = {} if generation is None else {"if_generation_match": generation}
        try:
            with _explained(self._uri(name), "written"):
                if isinstance(data, Path):
                    self._blob(name).upload_from_filename(str(data), retry=DEFAULT_RETRY, **condition)
                else:
                    self._blob(name).upload_from_string(
                        data, "application/octet-stream", retry=DEFAULT_RETRY, **condition
                    )
        except PreconditionFailed:
            return False
        except NotFound as error:
            if generation:
                return False
            raise problems.no_bucket(self._uri(name)) from error
        return True

    def delete(self, name: str) -> None:
        """Removes an object; it is no error that there is none."""
        from google.api_core.exceptions import NotFound
        from google.cloud.storage.retry import DEFAULT_RETRY

        with contextlib.suppress(NotFound), _explained(self._uri(name), "written"):
            self._blob(name).delete(retry=DEFAULT_RETRY)

    def _blob(self, name: str, generation: int | None = None) -> Any:
        return _client().bucket(self._bucket).blob(name, generation=generation)

    def _object(self, blob: Any) -> StoredObject:
        content = blob.md5_hash or blob.crc32c  # a composite object has no MD5
        return StoredObject(
            self._uri(blob.name), self._bucket, blob.name, blob.size, str(blob.generation), content, blob.updated
        )

    def _uri(self, name: str) -> str:
        return locations.as_uri(locations.GS, self._bucket, name)


@functools.cache
def _client_at(emulator: str) -> Any:
    from google.cloud import storage

    return storage.Client(project=None)


def _client() -> Any:
    # A client belongs to the host it was made for.
    return _client_at(os.environ.get("STORAGE_EMULATOR_HOST", ""))


@contextlib.contextmanager
def _explained(uri: str, verb: str) -> Iterator[None]:
    """Turns refusals of Cloud Storage into messages that say what fixes them."""
    from google.api_core.exceptions import Forbidden, GoogleAPICallError, NotFound, PreconditionFailed, RetryError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except Forbidden as error:
        raise problems.forbidden(uri, verb, _first_line(error)) from error
    except (NotFound, PreconditionFailed):
        raise
    except GoogleAPICallError as error:
        problem = problems.throttled if error.code in _TOO_MANY else problems.unreachable
        problem = problems.credentials if error.code == 401 else problem
        raise problem(uri, _first_line(error)) from error
    except GoogleAuthError as error:
        raise problems.credentials(uri, _first_line(error)) from error
    except (RetryError, RequestException, ConnectionError) as error:
        cause = error.cause if isinstance(error, RetryError) else None
        problem = problems.throttled if getattr(cause, "code", None) in _TOO_MANY else problems.unreachable
        raise problem(uri, _first_line(cause or error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
