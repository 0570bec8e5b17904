"""How CSV files are written, where that cannot be seen from them."""

import codecs
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kfp_ct.base.settings import WHOLE, Settings, expected, misfit

_TAB = {"tab": "\t", "\\t": "\t"}


def _character(text: str) -> str:
    one = _TAB.get(text.lower(), text)
    if len(one) > 1 or one in ("\n", "\r", "\0"):
        raise misfit("expected one character, or tab")
    return one


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError as error:
        raise misfit("expected the name of an encoding, such as cp1252, latin-1 or utf-16") from error


class Csv(Settings):
    """How CSV files are written, where that cannot be seen from them."""

    delimiter: Annotated[str, AfterValidator(_character), expected("one character, or tab")] = Field(
        "", description="What separates values, one character or tab; empty: the one of , tab ; | that fits."
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of numbers.")
    quote: Annotated[str, AfterValidator(_character), expected("one character")] = Field(
        '"', description="What values with delimiters stand in, doubled within them; empty for nothing."
    )
    skip_rows: Annotated[int, Field(ge=0), WHOLE] = Field(0, description="Lines before the line of column names.")
    encoding: Annotated[str, AfterValidator(_encoding), expected("the name of an encoding, such as cp1252")] = Field(
        "", description="Encoding such as cp1252 or utf-16; empty: UTF-8, or what a byte order mark says."
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says which characters have two meanings."""
        if self.delimiter and self.delimiter == self.quote:
            yield "quote", f"{self.quote} is the delimiter"
        if self.delimiter == self.decimal:
            yield "decimal", f"{self.decimal} is the delimiter"
