"""The settings of deploy."""

from kfp_ct.base.settings import Count, Settings, Text
from kfp_ct.models.settings import ModelName


class Parameters(Settings):
    """The parameters of deploy."""

    serving_root: Text
    model_name: ModelName
    keep_versions: Count
