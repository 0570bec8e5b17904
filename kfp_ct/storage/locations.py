"""URIs of storage: a path, `file://`, `s3://bucket/key`, `gs://bucket/key`."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_ct.base.errors import ConfigurationError

S3, GS = "s3://", "gs://"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_MAGIC = re.compile(r"[*?\[]")


def is_remote(uri: str) -> bool:
    """Says whether a URI is one of an object store."""
    return uri.lower().startswith((S3, GS))


def split(uri: str) -> tuple[str, str, str]:
    """Returns scheme, bucket and name of an object's URI.

    Raises:
        ConfigurationError: It names no bucket.
    """
    scheme = uri[: len(S3)].lower()
    bucket, _, name = uri[len(S3) :].partition("/")
    if not bucket or _MAGIC.search(bucket):
        raise ConfigurationError(f"{uri} names no bucket\nexpected: {scheme}bucket/path\nfix: correct the URI")
    return scheme, bucket, name


def local_path(uri: str) -> Path:
    """Returns the absolute path of a path or a `file://` URI.

    Raises:
        ConfigurationError: The URI is of a kind that is not supported.
    """
    if not _SCHEME.match(uri):  # a single letter before the colon is a drive
        return Path(uri).expanduser().absolute()
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    raise ConfigurationError(
        f"{uri} cannot be used, {parts.scheme} is not supported\n"
        "expected: a path, file://, s3://bucket/path or gs://bucket/path\nfix: name such a place"
    )


def absolute(uri: str) -> str:
    """Returns a URI of an object store as it is, of a file its absolute path.

    Raises:
        ConfigurationError: The URI is of a kind that is not supported.
    """
    return uri if is_remote(uri) else str(local_path(uri))


def check(uri: str) -> None:
    """Raises `ConfigurationError` unless a URI is of a kind that can be used, and names a bucket where it needs one."""
    if is_remote(uri):
        split(uri)
    else:
        local_path(uri)


def join(root: str, *parts: str) -> str:
    """Returns the URI of what lies below another one."""
    scheme = root[: len(S3)] if is_remote(root) else ""  # its slashes are no end of a folder's name
    return "/".join([scheme + root[len(scheme) :].rstrip("/"), *parts])


def as_uri(scheme: str, bucket: str, name: str) -> str:
    """Returns an object's URI."""
    return f"{scheme}{bucket}/{name}"
