"""The settings of train."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kfp_ct.base.settings import WHOLE, NamesModule, Settings, Text
from kfp_ct.data.settings import Hyperparameters


class Parameters(Settings):
    """The parameters of train."""

    READS_SPLITS: ClassVar[tuple[str, ...]] = ("examples",)

    module: Annotated[Text, NamesModule("run_fn")]
    hyperparameters: Hyperparameters
    distribution: Literal["", "mirrored", "multi_worker_mirrored"]
    warm_up_rows: Annotated[int, Field(ge=0, le=1000), WHOLE] = 32
    warm_up_log: str = ""
