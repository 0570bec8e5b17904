"""What settings are described with: models that take nothing they do not know, and types that values of JSON fit.

A component's `settings.py` has a class `Parameters`: its parameters that users set, as far as there is more to say of
them than their type. It is read before a run (`kfp_ct/project/validation.py`) and by the task itself.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MISFIT = "misfit"


class Settings(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    # Names of the input artifacts that must have the splits train and eval; said by a component's Parameters.
    READS_SPLITS: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def without_splits(cls, given: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
        """Says that a component makes a dataset without the splits train and eval: by which setting, and how so.

        Args:
            given: Its parameters, as far as they are known before a run.
        """
        return None

    @classmethod
    def made_splits(cls, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the splits of the dataset that a component makes; none where its parameters do not say."""
        return ()

    @classmethod
    def named_splits(cls, given: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Returns the splits that a component is told to read, and by which setting."""
        return None

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says which settings do not fit together: the one to blame, and words that go on after "NAME: "."""
        yield from ()

    def conflicts_with_texts(self, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Says which settings do not fit the text files that others name, where those are here before a run.

        Args:
            texts: Text by the name of the setting that names the file.
        """
        yield from ()

    @model_validator(mode="after")
    def _without_conflicts(self) -> Self:
        if found := list(self.conflicts()):
            raise PydanticCustomError(MISFIT, "{found}", {"found": found})
        return self


def expected(text: str) -> Any:
    """Says what is allowed where a check does not read well; for messages, documentation and editors."""
    return Field(json_schema_extra={"expected": text})


def matching(pattern: str, expected: str) -> Any:
    """Demands that a text matches a regular expression, and says what that means."""
    return Field(pattern=pattern, json_schema_extra={"expected": expected})


def misfit(text: str) -> PydanticCustomError:
    """Returns an error for a field's validator to raise; its words go on after "NAME is VALUE: "."""
    return PydanticCustomError(MISFIT, "{text}", {"text": text})


def _whole(value: Any) -> Any:
    # KFP carries every number of a dict as a double: 5 arrives as 5.0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # JSON has lists only
Names = Annotated[tuple[Text, ...], Field(strict=False)]
Count = Annotated[int, Field(ge=1), WHOLE]
CountOrNone = Annotated[int, Field(ge=0), WHOLE]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclasses.dataclass(frozen=True)
class NamesText:
    """Marks a setting that names a text file.

    Attributes:
        what: What the file is, in words.
        check: Says what is wrong with its text; a check is handed the text only, so it must not need data.
        suffix: A value names a file only if it ends so.
        classes: Yields the classes that the text names: where it does, the module, and the class.
        maker: Module that prints the text that a function makes, where a value may be module:function.
    """

    what: str
    check: Callable[[str], Iterable[str]] | None = None
    suffix: str = ""
    classes: Callable[[str], Iterable[tuple[str, str, str]]] | None = None
    maker: str = ""


@dataclasses.dataclass(frozen=True)
class NamesModule:
    """Marks a setting that names a Python module, by import path or file.

    Attributes:
        function: A function that the module must have.
        with_parameter: The function is needed only if this parameter of the component is not empty.
        or_function: One that it may have instead.
    """

    function: str
    with_parameter: str = ""
    or_function: str = ""
