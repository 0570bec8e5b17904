"""YAML as settings have it: the values of JSON, every name once."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from kfp_ct.base.errors import UsageError, listed

_TIMESTAMP, _FLOAT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("timestamp", "float", "merge"))


class _Loader(yaml.CSafeLoader):
    """Leaves dates the texts that they are written as, and takes 1e-5 for the number it is."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own field
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Returns an object.

        Raises:
            ConstructorError: It has a name twice, of which one value would be lost.
        """
        keys = [key for key, _ in node.value if key.tag != _MERGE]
        names = [self.construct_object(key, deep=True) for key in keys]
        for number, name in enumerate(names):
            if name in names[:number]:
                said = f"the name {name!r} stands here twice"
                raise yaml.constructor.ConstructorError(None, None, said, keys[number].start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def parse(text: str) -> Any:
    """Reads YAML.

    Raises:
        ValueError: It is none; says where.
    """
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
        json.dumps(value, default=str, skipkeys=True)  # refuses what holds itself
        return value
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def read(path: Path) -> Any:
    """Reads a YAML file.

    Raises:
        UsageError: It cannot be read, or is not YAML.
    """
    try:
        return parse_file(path.read_text(), path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error


def parse_file(text: str, path: Path | str) -> Any:
    """Reads the text of a YAML file.

    Raises:
        UsageError: It is not YAML.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error


def described(value: Any, kind: Any, path: Path | str) -> Any:
    """Returns what a file holds as its description has it.

    Args:
        value: What was read.
        kind: The description: a model of settings.
        path: The file, for people.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    from kfp_ct.base import setting_problems

    if not isinstance(value, dict):
        raise UsageError(f"{path} is {setting_problems.shown(value)}: expected an object\nfix: edit {path}")
    if found := setting_problems.problems(kind, value):
        raise UsageError(f"{path} does not fit\n{listed(found)}\nfix: edit {path}")
    return kind.model_validate(value)
