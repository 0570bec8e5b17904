"""The settings of transform."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kfp_ct.base.settings import Names, NamesModule, Settings, Text
from kfp_ct.data.settings import BeamArguments


class Options(Settings):
    """What TFX's Transform takes beside the module."""

    custom_config: dict[str, Any] = Field(
        {}, description="What preprocessing_fn(inputs, custom_config) is given, if it takes it."
    )
    analyze: Annotated[Names, Field(min_length=1)] = Field(
        ("train",), description="Splits that the analysers look at, as TFX's splits_config.analyze."
    )
    statistics: bool = Field(
        False,
        description="Compute TFDV's statistics before and after the transform, with the options that "
        "stats_options_updater_fn of the module makes of TFX's; they lie in the transform graph, as TFX has them.",
    )


class Parameters(Settings):
    """The parameters of transform."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("preprocessing_fn")]
    options: Options
    beam_pipeline_args: BeamArguments
    materialize_format: Literal["parquet", "tfrecord"] = "parquet"
