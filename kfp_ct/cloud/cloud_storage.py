"""Files in Google Cloud Storage: found by URI, read whole or copied here piece by piece.

`STORAGE_EMULATOR_HOST` names another server, as for every client of Cloud Storage.
"""

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kfp_ct.base import globs
from kfp_ct.base.errors import ConfigurationError, DataError

SCHEME = "gs://"
# Downloads at once: each waits for the network most of the time.
PARALLEL = 4
_MAGIC = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class Object:
    """One generation of an object: what is read stays the same even where it is overwritten meanwhile."""

    bucket: str
    name: str
    generation: int
    content: str  # MD5, or CRC32C of a composite object, which has no MD5

    @property
    def uri(self) -> str:
        """The object's URI."""
        return f"{SCHEME}{self.bucket}/{self.name}"


def is_uri(uri: str) -> bool:
    """Says whether a URI is one of Cloud Storage."""
    return uri.lower().startswith(SCHEME)


def find(uri: str) -> list[Object]:
    """Returns the objects behind a URI, sorted by name; none if there are none.

    Args:
        uri: An object, a glob (`**` descends) or a folder, read with all folders below it. Names that start with a dot
            or an underscore are left out of folders, as Spark and Hive mark unfinished files.

    Raises:
        ConfigurationError: The URI names no bucket, or reading it is not allowed.
    """
    bucket, pattern = _parts(uri)
    listed = _list(uri, bucket, _prefix(pattern))
    exact = [] if _MAGIC.search(pattern) else [each for each in listed if each.name == pattern != ""]
    found = exact or [each for each in listed if _matches(pattern, each.name)]
    return sorted(found, key=lambda each: each.name)


def is_behind(uri: str, bucket: str, name: str) -> bool:
    """Says whether an object is one that `find` finds behind a URI, without asking Cloud Storage.

    Raises:
        ConfigurationError: The URI names no bucket.
    """
    wanted, pattern = _parts(uri)
    return bucket == wanted and _matches(pattern, name)


def download(objects: Sequence[Object], folder: Path) -> list[Path]:
    """Copies objects below a folder, each under its own name in a folder of its own; checksums are verified.

    Raises:
        DataError: An object is not there any more, or was overwritten.
    """
    targets = [folder / f"{number:05d}" / each.name.rpartition("/")[2] for number, each in enumerate(objects)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(_download, objects, targets))


def read_text(uri: str, what: str) -> str:
    """Reads a text object.

    Raises:
        ConfigurationError: There is no such object, or reading it is not allowed.
    """
    found = [each for each in find(uri) if each.uri == uri]
    if not found:
        raise ConfigurationError(f"no {what} at {uri}\nexpected: an object in Cloud Storage\nfix: correct the URI")
    with _explained(uri):
        return str(_blob(found[0]).download_as_bytes().decode())


def _list(uri: str, bucket: str, prefix: str) -> list[Object]:
    from google.api_core.exceptions import NotFound

    try:
        with _explained(uri):
            blobs = _client().list_blobs(bucket, prefix=prefix)
            return [Object(bucket, each.name, each.generation, each.md5_hash or each.crc32c) for each in blobs]
    except NotFound as error:
        raise DataError(
            f"there is no bucket for {uri}\nexpected: gs://bucket/path\nfix: correct the bucket's name"
        ) from error


def _download(item: Object, target: Path) -> Path:
    from google.api_core.exceptions import NotFound

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _explained(item.uri):
            _blob(item).download_to_filename(str(target))
    except NotFound as error:
        raise DataError(
            f"{item.uri} was overwritten or removed while it was read\nexpected: files that stay as they are\n"
            "fix: run again, and write new data under new names"
        ) from error
    return target


def _blob(item: Object) -> Any:
    return _client().bucket(item.bucket).blob(item.name, generation=item.generation)


@functools.cache
def _client_at(emulator: str) -> Any:
    from google.cloud import storage

    return storage.Client(project=None)


def _client() -> Any:
    # A client belongs to the host it was made for.
    return _client_at(os.environ.get("STORAGE_EMULATOR_HOST", ""))


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turns refusals of Cloud Storage into messages that say what fixes them."""
    from google.api_core.exceptions import Forbidden, Unauthorized
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (Forbidden, Unauthorized, GoogleAuthError) as error:
        raise ConfigurationError(
            f"{uri} may not be read: {str(error).splitlines()[0]}\n"
            "expected: credentials with the role Storage Object Viewer on the bucket\n"
            "fix: grant the role to the service account that runs this, or run gcloud auth application-default login"
        ) from error


def _prefix(pattern: str) -> str:
    """Returns what the names of a pattern's objects all begin with."""
    magic = _MAGIC.search(pattern)
    return pattern[: magic.start()] if magic else pattern.rstrip("/")


def _matches(pattern: str, name: str) -> bool:
    if name.endswith("/"):
        return False
    if _MAGIC.search(pattern):
        return bool(globs.expression(pattern).fullmatch(name))
    folder = f"{pattern.rstrip('/')}/" if pattern.rstrip("/") else ""
    return name == pattern or (name.startswith(folder) and _is_data(name[len(folder) :]))


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, name = uri[len(SCHEME) :].partition("/")
    if not bucket or _MAGIC.search(bucket):
        raise ConfigurationError(f"{uri} names no bucket\nexpected: gs://bucket/path\nfix: correct the URI")
    return bucket, name


def _is_data(relative: str) -> bool:
    return not any(part.startswith((".", "_")) for part in relative.split("/"))
