"""Values of a package's inputs as people write them on a command line, or into a file."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError
from kfp_ct.package import package, yaml_documents
from kfp_ct.package.package import Package

# YAML 1.1, which the parser reads, takes 1e-3 for a text and 010 for eight.
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def read(compiled: Package, assignments: Sequence[str]) -> dict[str, Any]:
    """Reads NAME=VALUE, each value as its input's type has it.

    A text is taken as it stands, unless it is in quotes; everything else is YAML, of which JSON is a part. `null` is no
    value where an input may be left out.

    Args:
        compiled: A package.
        assignments: Such as `rate=0.5`.

    Raises:
        UsageError: There is no `=`, or a value is not YAML.
    """
    definitions = package.inputs(compiled)
    found = {}
    for each in assignments:
        name, sign, text = each.partition("=")
        if not sign or not name:
            raise UsageError(f"--set {each!r}\nexpected: --set NAME=VALUE, such as --set rate=0.5")
        found[name] = _value(definitions.get(name, {}), text, name)
    return found


def read_file(path: Path) -> dict[str, Any]:
    """Reads the values of inputs from a YAML or JSON file: an object, by the inputs' names.

    Raises:
        UsageError: It cannot be read, or is no object.
    """
    try:
        documents = yaml_documents.parse(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise UsageError(f"{path}: expected one object with the values of inputs by their names")
    return documents[0]


def _value(definition: Mapping[str, Any], text: str, name: str) -> Any:
    optional = definition.get("isOptional") or "defaultValue" in definition
    if text == "null" and optional:
        return None
    if definition.get("parameterType") == "STRING" and not _is_quoted(text):
        return text
    if definition.get("parameterType", "").startswith("NUMBER") and _NUMBER.fullmatch(text):
        return float(text) if set(text) & set(".eE") else int(text)
    try:
        documents = yaml_documents.parse(text)
    except ValueError as error:
        raise UsageError(f"--set {name}={text[:60]!r}: the value is not YAML ({error})") from error
    # What YAML calls null is no document here, and no value of an input that must have one.
    return documents[0] if len(documents) == 1 else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
