"""The settings of resolve_model."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from kfp_ct.base.settings import Settings, matching
from kfp_ct.models.settings import ModelName, RegistryUri


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


Version = Annotated[
    str,
    matching("^(champion|[0-9]+)$", "champion, or the number of a version in quotes"),
    BeforeValidator(_stripped),
]


class Parameters(Settings):
    """The parameters of resolve_model."""

    registry_uri: RegistryUri
    model_name: ModelName
    version: Version
