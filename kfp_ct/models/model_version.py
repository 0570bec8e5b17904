"""Registered versions, what can be asked of a registry, and what its URI names.

Two kinds of registry: `sqlite:///path` (the models lie in `models/` beside the database file) and an MLflow
server by `http(s)://`.
"""

import dataclasses
import re
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from kfp_ct.base import secrets
from kfp_ct.base.errors import ConfigurationError

CHAMPION = "champion"
# Tag of a version whose files were deleted to make room, and when.
FILES_DELETED = "files_deleted"
SQLITE = "sqlite:///"
SCHEMES = (SQLITE, "http://", "https://")
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
MODEL_NAME_IS = "letters, digits, '.', '_' and '-', a letter or digit first, at most 128"
REGISTRY_IS = "sqlite:///path/to/registry.db, http(s)://server, or ${NAME} for an environment variable that holds one"


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """A registered version: `source` is the folder whose Format-Serving/ is the SavedModel.

    `created` is milliseconds since 1970.
    """

    number: str
    source: str
    tags: dict[str, str]
    created: int = 0


class Reader(Protocol):
    """What can be asked of a registry without changing it; None where there is no such version."""

    def champion(self, model_name: str) -> ModelVersion | None:
        """Returns the version with the alias champion."""

    def version(self, model_name: str, number: str) -> ModelVersion | None:
        """Returns a version by number."""

    def find(self, model_name: str, tag: str, value: str) -> ModelVersion | None:
        """Returns the newest version whose tag has this value."""

    def versions(self, model_name: str) -> list[ModelVersion]:
        """Returns all versions, newest first."""

    def models(self) -> list[str]:
        """Returns the names of the registered models."""


def is_deleted(version: ModelVersion) -> bool:
    """Whether a version's files were deleted to make room."""
    return bool(version.tags.get(FILES_DELETED))


def check_model_name(name: str) -> str:
    """Returns a name that is safe as a folder, in a URL and in the registry.

    Raises:
        ConfigurationError: It is not.
    """
    if not re.fullmatch(MODEL_NAME, name):
        raise ConfigurationError(
            f"{name!r} cannot be a model name\nexpected: {MODEL_NAME_IS}\nfix: correct model_name in the settings file"
        )
    return name


def check_uri(uri: str) -> str:
    """Returns a registry URI this library can use, with what its references to environment variables stand for.

    Raises:
        ConfigurationError: Its scheme is another, or it names nothing.
    """
    resolved = secrets.resolve(uri)
    if not resolved.startswith(SCHEMES) or resolved in SCHEMES:
        raise ConfigurationError(
            f"the registry URI {uri!r} cannot be used\nexpected: {REGISTRY_IS}\n"
            "fix: correct registry_uri in the settings file"
        )
    return str(resolved)


def database_path(uri: str) -> Path | None:
    """Returns the absolute path of a SQLite registry's file; None for a server."""
    uri = check_uri(uri)
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def models_root(database: Path) -> Path:
    """Returns the folder that holds the registered models of a SQLite registry."""
    return database.parent / "models"


def lock_path(database: Path, purpose: str) -> Path:
    """Returns the lock file for one purpose, beside the database."""
    return database.with_name(f".{database.name}.{purpose}.lock")


def local_path(source: str) -> Path | None:
    """Returns the path of a version's source folder; None if it lies on a server or in a bucket."""
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(source) if not parts.scheme else None
