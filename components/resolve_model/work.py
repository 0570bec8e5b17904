"""Finds a registered model to use."""

import dataclasses
import datetime

from kfp_ct.base import setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.resolve_model.settings import Parameters
from kfp_ct.models import model_version, registered_model, registry


@dataclasses.dataclass(frozen=True)
class ResolvedModel:
    """A registered version, where its files are, and when it was registered (ISO 8601)."""

    version: str
    located: registered_model.Located
    registered: str = ""


def resolve(registry_uri: str, model_name: str, version: str) -> ResolvedModel:
    """Finds a version of a model.

    Args:
        registry_uri: The registry.
        model_name: Registered model.
        version: "champion", or a version's number.

    Raises:
        ConfigurationError: There is no such version, an argument does not fit, or the registry does not answer.
        DataError: The registry names files that are gone.
    """
    given = {"registry_uri": registry_uri, "model_name": model_name, "version": version}
    version = setting_problems.read(Parameters, given, "").version
    reader = registry.open_reader(registry_uri)
    by_alias = version == model_version.CHAMPION
    found = reader.champion(model_name) if by_alias else reader.version(model_name, version)
    if found is None:
        raise ConfigurationError(
            f"the registry {registry_uri} has no {'champion' if by_alias else f'version {version}'} of {model_name}\n"
            f"expected: {'a model that was blessed and registered' if by_alias else 'the number of a version'}\n"
            f"fix: {'run the training pipeline first' if by_alias else 'correct version in the settings file'},"
            " or correct registry_uri and model_name"
        )
    located = registered_model.locate(found, registry_uri, model_name)
    task_log.summary(f"{model_name} v{found.number}{', the champion' if by_alias else ''}")
    registered = datetime.datetime.fromtimestamp(found.created / 1000, datetime.UTC).isoformat()
    return ResolvedModel(found.number, located, registered)


def materialize(found: ResolvedModel, uri: str, path: str) -> str:
    """Returns the URI of the folder to hand on: the registered one, or the task's own output, which it then fills."""
    return registered_model.materialize(found.located, uri, path)
