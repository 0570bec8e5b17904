"""The settings of transform."""

from typing import Annotated, ClassVar

from kfp_ct.base.settings import NamesModule, Settings, Text
from kfp_ct.data.settings import BeamArguments


class Parameters(Settings):
    """The parameters of transform."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("preprocessing_fn")]
    beam_pipeline_args: BeamArguments
