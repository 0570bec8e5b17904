"""What deploying needs to know of a service: the sections `kfp` and `vertex` of a settings file."""

from typing import Any

from kfp_ct.base.errors import UsageError, listed
from kfp_ct.project.settings import Settings

LOCAL, KFP, VERTEX = NAMES = ("local", "kfp", "vertex")
LOCAL_ADDRESS = "http://127.0.0.1:8080"


def require_target(name: str) -> str:
    """Returns the name of a target.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in NAMES:
        raise UsageError(f"--target {name!r}\nexpected: one of {', '.join(NAMES)}")
    return name


def section(settings: Settings, target: str) -> dict[str, Any]:
    """Returns what a settings file says of a target, checked.

    Args:
        settings: A project's settings for one environment.
        target: local, kfp or vertex; local is spoken to as kfp is, and has no section.

    Raises:
        UsageError: An entry is missing, unknown or of the wrong form.
    """
    if require_target(target) == LOCAL:
        return {}
    from kfp_ct.project import targets

    values = settings.targets.get(target, {})
    if problems := targets.misfits(target, values, complete=True):
        raise UsageError(
            f"{settings.file} does not say where {target} is\n{listed(problems)}\nfix: edit the section {target} there"
        )
    return dict(values)
