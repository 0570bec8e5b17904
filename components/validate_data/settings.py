"""The settings of validate_data."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kfp_ct.base.settings import Settings, Text, expected, misfit

_PATTERN = "a name or a pattern, such as *email* or passenger_*"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise misfit(f"expected {_PATTERN}")
    return text


# What an anomaly of a split does: ends the run, is said and let through, or is not looked for.
Severity = Literal["stop", "warn", "skip"]
Pattern = Annotated[str, AfterValidator(_not_blank), expected(_PATTERN)]


class Parameters(Settings):
    """The parameters of validate_data."""

    label: str = ""
    environment: Text = "TRAINING"
    deny: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
    severities: dict[Text, Severity] = Field({})

    def severity(self, split: str) -> Severity:
        """Returns what an anomaly of a split does."""
        return self.severities.get(split, "stop")
