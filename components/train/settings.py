"""The settings of train."""

from typing import Annotated, ClassVar, Literal

from kfp_ct.base.settings import NamesModule, Settings, Text
from kfp_ct.data.settings import Hyperparameters


class Parameters(Settings):
    """The parameters of train."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("run_fn")]
    hyperparameters: Hyperparameters
    distribution: Literal["", "mirrored", "multi_worker_mirrored"]
