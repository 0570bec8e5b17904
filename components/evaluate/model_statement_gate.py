"""A gate on words: a model of which nobody has written what it is for is not served."""

from collections.abc import Iterator
from typing import Any

import yaml

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import user_code
from kfp_ct.models.blessing import Check

NAME = "model_card"
# What a reader of a model card looks for first.
NEEDED = ("overview", "owners", "intended_uses", "limitations")


def check(file: str) -> Check:
    """Returns the check of a project's model_card.yaml.

    Raises:
        ConfigurationError: The file is not there, or is no YAML.
    """
    text = user_code.read_text(file, "model card")
    if found := list(problems(text)):
        raise ConfigurationError(f"{file}: {found[0]}\nfix: correct it")
    said = yaml.safe_load(text)
    missing = [name for name in NEEDED if not (isinstance(said, dict) and said.get(name))]
    if missing:
        return Check(NAME, False, f"{file} says nothing of {', '.join(missing)}: expected words for each")
    return Check(NAME, True, f"{file} says {', '.join(NEEDED)}")


def problems(text: str) -> Iterator[str]:
    """Says that a text is no YAML."""
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"this is no YAML: {' '.join(str(error).split())}"
        return
    if value is not None and not isinstance(value, dict):
        yield "expected an object, such as overview: …"
