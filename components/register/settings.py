"""The settings of register."""

from typing import Any

from kfp_ct.base.settings import Settings
from kfp_ct.models.settings import ModelName, RegistryUri


class Parameters(Settings):
    """The parameters of register."""

    registry_uri: RegistryUri
    model_name: ModelName
    lineage: dict[str, Any]
