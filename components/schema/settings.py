"""The settings of schema."""

from typing import Annotated

from kfp_ct.base.settings import NamesText, Settings
from kfp_ct.components.schema import curated


class Parameters(Settings):
    """The parameters of schema."""

    schema_file: Annotated[str, NamesText("schema", curated.problems)]
