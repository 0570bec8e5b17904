"""The settings of deploy."""

from kfp_ct.base.settings import Count, Settings
from kfp_ct.models.settings import ModelName, RegistryUri, Serving
from kfp_ct.storage.place_settings import Place


class Parameters(Settings):
    """The parameters of deploy."""

    serving_root: Place
    model_name: ModelName
    registry_uri: RegistryUri = ""
    serving: Serving
    keep_versions: Count
