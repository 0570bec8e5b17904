"""What deploying needs to know of a service: the sections `kfp` and `vertex` of a settings file."""

from typing import Any

import jsonschema

from kfp_ct.base.errors import UsageError
from kfp_ct.project.settings import Settings

LOCAL, KFP, VERTEX = NAMES = ("local", "kfp", "vertex")
LOCAL_ADDRESS = "http://127.0.0.1:8080"

_TEXT = {"type": "string", "minLength": 1}
_SCHEMAS: dict[str, dict[str, Any]] = {
    KFP: {
        "host": _TEXT,
        "namespace": _TEXT,
        "experiment": _TEXT,
        "auth": {"enum": ["none", "token", "in-cluster", "iap", "dex"]},
        "service_account": _TEXT,
        "pipeline_root": _TEXT,
        "time_zone": _TEXT,
    },
    VERTEX: {
        "project": _TEXT,
        "location": _TEXT,
        "bucket": {"type": "string", "pattern": "^gs://[a-z0-9][a-z0-9._-]+(/.+)?$"},
        "pipeline_root": {"type": "string", "pattern": "^gs://"},
        "service_account": _TEXT,
        "network": {"type": "string", "pattern": "^projects/[^/]+/global/networks/[^/]+$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^[a-z0-9_-]{0,63}$"}},
        "encryption_key": {"type": "string", "pattern": "^projects/.+/cryptoKeys/[^/]+$"},
        "caching": {"type": "boolean"},
        "api_endpoint": _TEXT,
    },
}
_REQUIRED = {VERTEX: ["project", "location", "bucket"]}


def section(settings: Settings, target: str) -> dict[str, Any]:
    """Returns what a settings file says of a target, checked.

    Args:
        settings: A project's settings for one environment.
        target: local, kfp or vertex; local is spoken to as kfp is, and has no section.

    Raises:
        UsageError: An entry is missing, unknown or of the wrong form.
    """
    if target not in NAMES:
        raise UsageError(f"--target {target!r}\nexpected: one of {', '.join(NAMES)}")
    if target == LOCAL:
        return {}
    values = settings.targets.get(target, {})
    schema = {
        "type": "object",
        "properties": _SCHEMAS[target],
        "required": _REQUIRED.get(target, []),
        "additionalProperties": False,
    }
    problems = [
        "- " + ".".join([target, *map(str, error.absolute_path)]) + f": {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(values)
    ]
    if problems:
        where = f"pipelines/{settings.project}/settings/{settings.environment}.yaml"
        details = "\n".join(problems)
        raise UsageError(f"{where} does not say where {target} is\n{details}\nfix: edit the section {target} there")
    return dict(values)
