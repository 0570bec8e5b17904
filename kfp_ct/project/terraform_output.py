"""Settings out of what Terraform made: the output `settings` of infra/terraform, as a file of a project's settings."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from kfp_ct.base.errors import UsageError, listed
from kfp_ct.project import targets
from kfp_ct.project.schema_line import schema_line

OUTPUT = "settings"
_DEPTH = 2  # from pipelines/PROJECT/settings/FILE to pipelines/
_EXPECTED = "expected: what `terraform output -json` prints, in infra/terraform"


def read(text: str) -> dict[str, Any]:
    """Returns the settings that Terraform's outputs hold.

    Args:
        text: What `terraform output -json` printed.

    Raises:
        UsageError: It is something else, or a value fits no setting.
    """
    try:
        outputs = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}\n{_EXPECTED}") from error
    output = outputs.get(OUTPUT) if isinstance(outputs, Mapping) else None
    if not isinstance(output, Mapping) or not isinstance(output.get("value"), Mapping):
        raise UsageError(f"there is no output called {OUTPUT}\n{_EXPECTED}\nfix: terraform apply, then again")
    found: dict[str, Any] = {name: _given(value) for name, value in output["value"].items()}
    if wrong := targets.misfits(targets.VERTEX, found.get(targets.VERTEX, {}), complete=True):
        raise UsageError(f"Terraform's output does not fit the section vertex\n{listed(map(str, wrong))}")
    return found


def text(found: Mapping[str, Any], base: str) -> str:
    """Returns a settings file.

    Args:
        found: What `read` returned.
        base: Name of the settings that it extends, such as base.yaml.
    """
    head = f"{schema_line('training', _DEPTH)}# Written by `ct settings from-terraform`.\nextends: {base}\n"
    return head + yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=True)


def _given(value: Any) -> Any:
    """Without what is empty: an optional value that Terraform was not given."""
    if not isinstance(value, Mapping):
        return value
    return {name: _given(each) for name, each in value.items() if each not in ("", None)}
