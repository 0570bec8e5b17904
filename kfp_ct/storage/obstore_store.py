"""Buckets by obstore: s3:// everywhere, gs:// where Google's client is not installed.

Endpoint, region and credentials come from the usual environment (AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
web identity, the machine's role). Throttling and broken connections are retried with growing pauses by obstore.
"""

import contextlib
import datetime
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_ct.storage import locations, problems
from kfp_ct.storage.objects import ABSENT, Content, StoredObject

# Long enough for a store that restarts; the pauses grow from 0.2 to 10 seconds.
RETRY_SECONDS = 60.0
_CODE = re.compile(r"\bCode\W(\w+)\W{2}Code\b")  # of an answer in XML
_STATUS = re.compile(r"status code: (\d{3})")
_WRONG_CREDENTIALS = (
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
    "RequestTimeTooSkewed", "TokenRefreshRequired", "InvalidClientTokenId",
)  # fmt: skip


class ObstoreStore:
    """One bucket, through obstore."""

    def __init__(self, scheme: str, bucket: str) -> None:
        self._scheme, self._bucket = scheme, bucket
        with _explained(locations.as_uri(scheme, bucket, ""), "read"):
            self._store = _connected(scheme, bucket, _environment())

    def stat(self, name: str) -> StoredObject | None:
        """Looks at an object; None if there is none."""
        import obstore

        try:
            with _explained(self._uri(name), "read"):
                return self._object(obstore.head(self._store, name))
        except FileNotFoundError:
            return None

    def list(self, folder: str, deep: bool = True) -> list[StoredObject]:
        """Returns the objects below a folder ("" for the bucket), sorted by name; its own ones only if not `deep`."""
        import obstore

        prefix = folder.rstrip("/") or None
        with _explained(self._uri(folder), "read"):
            if deep:
                found = [each for page in obstore.list(self._store, prefix) for each in page]
            else:
                found = list(obstore.list_with_delimiter(self._store, prefix)["objects"])
        return sorted(map(self._object, found), key=lambda each: each.name)

    def read(self, name: str) -> Content | None:
        """Reads an object; None if there is none."""
        import obstore

        try:
            with _explained(self._uri(name), "read"):
                answer = obstore.get(self._store, name)
                return Content(bytes(answer.bytes()), str(answer.meta["e_tag"]))
        except FileNotFoundError:
            return None

    def download(self, item: StoredObject, path: Path) -> None:
        """Copies this version of an object to a file."""
        import obstore
        from obstore.exceptions import PreconditionError

        try:
            with _explained(item.uri, "read"), path.open("wb") as file:
                for piece in obstore.get(self._store, item.name, options={"if_match": item.version}):
                    file.write(piece)
        except (FileNotFoundError, PreconditionError) as error:
            raise problems.overwritten(item.uri) from error
        if path.stat().st_size != item.size:
            raise problems.unreachable(item.uri, f"{path.stat().st_size:,} of {item.size:,} bytes came")

    def write(self, name: str, data: bytes | Path, expected: str | None) -> bool:
        """Writes an object whole or not at all, if it is as expected."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "overwrite" if expected is None else "create" if expected == ABSENT else {"e_tag": expected}
        try:
            with _explained(self._uri(name), "written"):
                obstore.put(self._store, name, data, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return False
        except FileNotFoundError as error:
            if mode == "overwrite":
                raise problems.no_bucket(self._uri(name)) from error
            return False  # it is gone, and a version of it was expected
        return True

    def delete(self, name: str) -> None:
        """Removes an object; it is no error that there is none."""
        import obstore

        with contextlib.suppress(FileNotFoundError), _explained(self._uri(name), "written"):
            obstore.delete(self._store, name)

    def _object(self, meta: Any) -> StoredObject:
        name, tag = str(meta["path"]), str(meta["e_tag"])
        return StoredObject(self._uri(name), self._bucket, name, meta["size"], tag, tag, meta["last_modified"])

    def _uri(self, name: str) -> str:
        return locations.as_uri(self._scheme, self._bucket, name)


def _environment() -> tuple[tuple[str, str], ...]:
    """Returns what a client is made of; it is another client where that changes."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "GOOGLE_"))))


@functools.cache
def _connected(scheme: str, bucket: str, environment: tuple[tuple[str, str], ...]) -> Any:
    from obstore.store import GCSStore, S3Store

    named = dict(environment)
    seconds = datetime.timedelta
    backoff: Any = {"init_backoff": seconds(seconds=0.2), "max_backoff": seconds(seconds=10), "base": 2}
    retry: Any = {"max_retries": 12, "retry_timeout": seconds(seconds=RETRY_SECONDS), "backoff": backoff}
    endpoint = named.get("AWS_ENDPOINT_URL_S3") or named.get("AWS_ENDPOINT_URL") or named.get("AWS_ENDPOINT") or ""
    # An upload or download may take its time, but not without a byte for half a minute.
    client: Any = {"timeout": "1 hour", "read_timeout": "30 seconds", "connect_timeout": "5 seconds"}
    if scheme == locations.GS:
        return GCSStore(bucket, client_options=client, retry_config=retry)
    client["allow_http"] = endpoint.startswith("http://")
    region = named.get("AWS_REGION") or named.get("AWS_DEFAULT_REGION") or "us-east-1"
    return S3Store(bucket, region=region, client_options=client, retry_config=retry)


@contextlib.contextmanager
def _explained(uri: str, verb: str) -> Iterator[None]:
    """Turns what obstore raises into messages that say what fixes it; an absent object stays `FileNotFoundError`."""
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise problems.no_bucket(uri) from error
        raise
    except (AlreadyExistsError, PreconditionError):
        raise
    except BaseError as error:
        raise _problem(uri, verb, str(error)) from error


def _problem(uri: str, verb: str, said: str) -> Exception:
    text = said.partition("\nDebug source")[0]
    code = next(iter(_CODE.findall(text)), "")
    status = next(iter(_STATUS.findall(text)), "")
    detail = " ".join(filter(None, (code, f"(HTTP {status})" if status else ""))) or _last_line(text)
    if code == "NoSuchBucket":
        return problems.no_bucket(uri)
    if "No CA certificates" in said:
        return problems.no_certificates(uri)
    if code in _WRONG_CREDENTIALS or status == "401":
        return problems.credentials(uri, detail)
    if "169.254." in text or "token request" in text or "MissingCredentials" in text:
        return problems.credentials(uri, "none are set, and this machine has no role")
    if status == "403":
        return problems.forbidden(uri, verb, detail)
    if code == "SlowDown" or status in ("429", "503"):
        return problems.throttled(uri, detail)
    return problems.unreachable(uri, detail)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no answer")[-300:]
