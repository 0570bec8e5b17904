"""What only people know of a model: the content of a project's model_card.yaml."""

from pydantic import Field

from kfp_ct.base.settings import Settings, Text, Texts

# What a reader of a model card looks for first.
NEEDED = ("overview", "owners", "intended_uses", "limitations")


class Owner(Settings):
    """Somebody to ask."""

    name: Text = Field(description="A person or a team.")
    contact: str = Field("", description="An address.")


class Risk(Settings):
    """What can go wrong for people, and what is done about it."""

    name: Text = Field(description="What can go wrong.")
    mitigation: str = Field("", description="What is done about it.")


class Statement(Settings):
    """What the model is for, and what not."""

    overview: str = Field("", description="What it predicts, of what, and how, in a few sentences.")
    owners: tuple[Owner, ...] = Field((), description="Who answers for it.", strict=False)
    licence: str = Field("", description="SPDX identifier, such as Apache-2.0.")
    intended_uses: Texts = Field((), description="What it is for.")
    users: Texts = Field((), description="Who it is for.")
    out_of_scope: Texts = Field((), description="What it must not be used for.")
    limitations: Texts = Field((), description="What it does badly.")
    trade_offs: Texts = Field((), description="What was given up for what.")
    risks: tuple[Risk, ...] = Field((), description="What can go wrong for people.", strict=False)
    references: Texts = Field((), description="Where to read more.")

    @property
    def missing(self) -> list[str]:
        """What a reader looks for first, and nobody wrote."""
        return [name for name in NEEDED if not getattr(self, name)]
