"""The settings of resolve_champion."""

from typing import Any

from kfp_ct.base.settings import Settings
from kfp_ct.models.settings import ModelName, RegistryUri


class Parameters(Settings):
    """The parameters of resolve_champion; what is in the two dicts is described by who uses it."""

    registry_uri: RegistryUri
    model_name: ModelName
    hyperparameters: dict[str, Any]
    tuning: dict[str, Any]
