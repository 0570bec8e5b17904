"""Secrets in settings: refused in the clear; `${NAME}` refers to an environment variable that only the task reads.

    registry_uri: https://trainer:${MLFLOW_PASSWORD}@mlflow.example.com

What is compiled, recorded and shown is the reference. `resolve` is called where the value is used.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base import nested, redaction
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.base.setting_problems import Path, Problem

_REFERENCE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")
IN_THE_CLEAR = (
    " holds a secret in the clear, which packages, records and reports would keep: put it in an environment variable "
    "of the tasks and write ${NAME} in its place"
)


def resolve(value: Any) -> Any:
    """Returns a value with what its references stand for; from then on that is kept out of what is printed.

    Args:
        value: A text, or lists and maps of texts.

    Raises:
        ConfigurationError: It refers to a variable that is not set.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _variable(match[1], value), value)
    if isinstance(value, Mapping):
        return {key: resolve(each) for key, each in value.items()}
    return [resolve(each) for each in value] if isinstance(value, list) else value


def references(value: Any) -> set[str]:
    """Returns the names of the environment variables that a value refers to."""
    return {name for _, text in _texts(value, ()) for name in _REFERENCE.findall(text)}


def in_the_clear(value: Any, path: Path = ()) -> list[Problem]:
    """Returns a problem for every secret that a value holds in the clear, without repeating it."""
    found = [Problem(place, IN_THE_CLEAR) for place, text in _texts(value, path) if redaction.holds_secret(text)]
    return list(dict.fromkeys([*found, *(Problem(place, IN_THE_CLEAR) for place in _named(value, path))]))


def unset(value: Any, path: Path = ()) -> list[Problem]:
    """Returns a problem for every reference to a variable that this process's environment lacks."""
    return [
        Problem(place, f" refers to ${{{name}}}, and no environment variable has that name")
        for place, text in _texts(value, path)
        for name in _REFERENCE.findall(text)
        if name not in os.environ
    ]


def _variable(name: str, text: str) -> str:
    if name not in os.environ:
        raise ConfigurationError(
            f"{text!r} refers to the environment variable {name}, which is not set here\n"
            "expected: a variable of the task, such as one from a Kubernetes secret\n"
            f"fix: set {name} where the task runs"
        )
    redaction.remember(name, os.environ[name])
    return os.environ[name]


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    for key, each in nested.entries(value):
        if isinstance(key, str):
            yield (*path, redaction.redact(key)), key
        yield from _texts(each, (*path, redaction.redact(key) if isinstance(key, str) else key))


def _named(value: Any, path: Path) -> Iterator[Path]:
    for key, each in nested.entries(value):
        place = (*path, redaction.redact(key) if isinstance(key, str) else key)
        if redaction.is_secret(key, each):
            yield place
        yield from _named(each, place)
