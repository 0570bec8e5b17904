"""Settings out of what Terraform made: the output `settings` of infra/terraform, as a file of a project's settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import ConfigurationError, UsageError, listed
from kfp_ct.models.settings import Serving
from kfp_ct.package import bind
from kfp_ct.project import targets
from kfp_ct.project.schema_line import schema_line

OUTPUT, SERVING = "settings", "serving"
_DEPTH = 2  # from pipelines/PROJECT/settings/FILE to pipelines/
_EXPECTED = "expected: what `terraform output -json` prints, in infra/terraform"


def read(text: str, serving_image: str = "") -> dict[str, Any]:
    """Returns the settings that Terraform's outputs hold.

    Args:
        text: What `terraform output -json` printed.
        serving_image: Image of the prediction service, by digest: what Terraform does not know of serving; without it
            the settings do not say what serves.

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
    parameters = found.get("parameters", {})
    if isinstance(parameters, dict) and SERVING in parameters:
        if serving_image:
            parameters[SERVING] = _served(parameters[SERVING], serving_image)
        else:
            del parameters[SERVING]
    return found


def serving_image(lock: Path) -> str:
    """Returns the image of the prediction service that a lock of images names.

    Raises:
        UsageError: It names none by digest.
    """
    found = bind.read_lock(lock).get(SERVING, "")
    if "@sha256:" not in found:
        raise UsageError(f"{lock} names no image {SERVING} by digest\nfix: ct images build, and name its images.lock")
    return found


def _served(section: Any, image: str) -> dict[str, Any]:
    given = section if isinstance(section, dict) else {}
    serving = {**given, targets.VERTEX: {**given.get(targets.VERTEX, {}), "image": image}}
    try:
        setting_problems.read(Serving, serving, SERVING)
    except ConfigurationError as error:
        raise UsageError(f"Terraform's output does not fit the setting {SERVING}\n{error}") from error
    return serving


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
