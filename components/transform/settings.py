"""The settings of transform."""

from typing import Annotated

from kfp_ct.base.settings import NamesModule, Settings, Text
from kfp_ct.data.settings import BeamArguments


class Parameters(Settings):
    """The parameters of transform."""

    module: Annotated[Text, NamesModule("preprocessing_fn")]
    beam_pipeline_args: BeamArguments
