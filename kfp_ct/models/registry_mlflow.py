"""The registry through MLflow's own client: what writes, and what reads servers and unknown schemas.

Apart from `kfp_ct.models.registry` because importing it costs seconds.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from kfp_ct.base import atomic_files, redaction
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.models import model_version

# What MLflow answers where a model, a version or an alias does not exist.
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# What stands in MLflow's account of a server that it does not reach.
_UNREACHABLE = {
    "Failed to resolve": "its host's name is not known here",
    "Connection refused": "nothing listens there",
    "timed out": "it does not answer in time",
}


class MlflowReader:
    """Reads any registry MLflow can open."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = open_client(uri)

    def champion(self, model_name: str) -> model_version.ModelVersion | None:
        """Returns the version with the alias champion."""
        return self._get(self._client.get_model_version_by_alias, model_name, model_version.CHAMPION)

    def version(self, model_name: str, number: str) -> model_version.ModelVersion | None:
        """Returns a version by number."""
        return self._get(self._client.get_model_version, model_name, number)

    def find(self, model_name: str, tag: str, value: str) -> model_version.ModelVersion | None:
        """Returns the newest version whose tag has this value."""
        with reaching(self._uri):
            found = self._client.search_model_versions(f"name = '{model_name}' AND tags.`{tag}` = '{value}'")
        return _version(max(found, key=lambda version: int(version.version))) if found else None

    def versions(self, model_name: str) -> list[model_version.ModelVersion]:
        """Returns all versions, newest first."""
        with reaching(self._uri):
            found = list(_pages(self._client.search_model_versions, f"name = '{model_name}'"))
        return sorted(map(_version, found), key=lambda version: -int(version.number))

    def models(self) -> list[str]:
        """Returns the names of the registered models."""
        with reaching(self._uri):
            return sorted(model.name for model in _pages(self._client.search_registered_models, None))

    def _get(self, ask: Any, *arguments: str) -> model_version.ModelVersion | None:
        with reaching(self._uri):
            try:
                return _version(ask(*arguments))
            except MlflowException as error:
                if error.error_code in _ABSENT:
                    return None
                raise


def open_client(uri: str) -> MlflowClient:
    """Opens a registry; a SQLite database is made first if there is none.

    Two processes may do it at once, and one that is killed while it does leaves nothing behind: MLflow's
    migrations run on a file of another name.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    database = model_version.database_path(uri)
    if database is None:
        uri = model_version.check_uri(uri)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    if not database.is_file():
        with (
            atomic_files.writing_to("the registry", database),
            atomic_files.locked(model_version.lock_path(database, "create")),
        ):
            _create(database)
    uri = f"{model_version.SQLITE}{database}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextlib.contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turns an MLflow failure into one message.

    Raises:
        ConfigurationError: The registry does not answer or refuses.
    """
    try:
        yield
    except MlflowException as error:
        first = redaction.redact(str(error).splitlines()[0])
        raise ConfigurationError(
            f"the registry {redaction.redact(uri)} did not do what was asked: {_reason(first)}\n"
            "expected: an MLflow 3 registry that answers\n"
            f"fix: {_fix(first)}"
        ) from error


def _reason(text: str) -> str:
    """Returns the last of the reasons that libraries wrap into each other: nothing answers, the name is not known."""
    return next((reason for mark, reason in _UNREACHABLE.items() if mark in text), text)


def _fix(text: str) -> str:
    if "Failed to resolve" in text:
        return "correct the name; one of a cluster's is known to its pods only: forward its port, and give --registry"
    return "see that the server is up and registry_uri is right, then run again"


def _create(database: Path) -> None:
    if database.is_file():  # another process was faster
        return
    partial = database.with_name(f".{database.name}.partial")
    partial.unlink(missing_ok=True)
    # Opening it is what makes the tables; experiment 0 is MLflow's own default.
    MlflowClient(tracking_uri=f"{model_version.SQLITE}{partial}").get_experiment("0")
    partial.rename(database)


def _pages(search: Any, wanted: str | None) -> Iterator[Any]:
    token = None
    while True:
        page = search(filter_string=wanted, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _version(version: Any) -> model_version.ModelVersion:
    created = int(version.creation_timestamp or 0)
    return model_version.ModelVersion(str(version.version), version.source, dict(version.tags), created)
