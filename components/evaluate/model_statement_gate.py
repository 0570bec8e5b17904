"""A gate on words: a model of which nobody has written what it is for is not served."""

from collections.abc import Iterator
from typing import Any

import yaml

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import ConfigurationError, listed
from kfp_ct.cards.statement import NEEDED, Statement
from kfp_ct.data import user_code
from kfp_ct.models.blessing import Check

NAME = "model_card"


def check(file: str) -> tuple[Check, dict[str, Any]]:
    """Returns the check of a project's model_card.yaml, and what the file says: register puts it on the model's card.

    Raises:
        ConfigurationError: The file is not there, is no YAML, or does not fit its description.
    """
    text = user_code.read_text(file, "model card")
    if found := list(problems(text)):
        raise ConfigurationError(f"{file} does not fit\n{listed(found)}\nfix: correct it")
    said = Statement.model_validate(yaml.safe_load(text) or {})
    words = said.model_dump(mode="json", exclude_defaults=True)
    if said.missing:
        return Check(NAME, False, f"{file} says nothing of {', '.join(said.missing)}: expected words for each"), words
    return Check(NAME, True, f"{file} says {', '.join(NEEDED)}"), words


def problems(text: str) -> Iterator[str]:
    """Says what is wrong with a text: it is no YAML, or not what a model card has."""
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"this is no YAML: {' '.join(str(error).split())}"
        return
    if value is not None and not isinstance(value, dict):
        yield "expected an object, such as overview: …"
        return
    yield from (str(each) for each in setting_problems.problems(Statement, value or {}))
