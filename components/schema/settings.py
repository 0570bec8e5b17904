"""The settings of schema."""

from typing import Annotated

from kfp_ct.base.settings import NamesText, Settings


class Parameters(Settings):
    """The parameters of schema."""

    schema_file: Annotated[str, NamesText("schema")]
