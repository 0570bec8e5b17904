"""The settings of deploy."""

from kfp_ct.base.settings import Count, Settings, Text
from kfp_ct.models.settings import ModelName, RegistryUri, Serving


class Parameters(Settings):
    """The parameters of deploy."""

    serving_root: Text
    model_name: ModelName
    registry_uri: RegistryUri = ""
    serving: Serving
    keep_versions: Count
