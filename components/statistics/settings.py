"""The settings of statistics."""

from kfp_ct.base.settings import Settings
from kfp_ct.data.settings import BeamArguments


class Parameters(Settings):
    """The parameters of statistics."""

    beam_pipeline_args: BeamArguments
