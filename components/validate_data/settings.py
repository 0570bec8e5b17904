"""The settings of validate_data."""

from typing import Annotated

from pydantic import AfterValidator, Field

from kfp_ct.base.settings import Settings, Text, expected, misfit

_PATTERN = "a name or a pattern, such as *email* or passenger_*"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise misfit(f"expected {_PATTERN}")
    return text


Pattern = Annotated[str, AfterValidator(_not_blank), expected(_PATTERN)]


class Parameters(Settings):
    """The parameters of validate_data."""

    label: str = ""
    environment: Text = "TRAINING"
    deny: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
