"""What tasks of our components ask of a node where settings say nothing: enough to be placed where they fit.

Requests only: a limit would end a task that once needs more. Measured on the flights example and rounded up; a larger
window needs more, which the section `kubernetes` says.
"""

from collections.abc import Mapping

_LIGHT = {"cpu_request": "100m", "memory_request": "512Mi"}
_READING = {"cpu_request": "250m", "memory_request": "1Gi"}
_TENSORFLOW = {"cpu_request": "500m", "memory_request": "2Gi"}
_OF_COMPONENT: Mapping[str, Mapping[str, str]] = {
    "deploy": _LIGHT,
    "evaluate": _TENSORFLOW,
    "ingest": _READING,
    "monitor": _READING,
    "predict_batch": _TENSORFLOW,
    "register": _LIGHT,
    "resolve_champion": _LIGHT,
    "resolve_sources": _LIGHT,
    "resolve_model": _LIGHT,
    "schema": _LIGHT,
    "statistics": _READING,
    "train": _TENSORFLOW,
    "transform": _TENSORFLOW,
    "tune": _TENSORFLOW,
    "validate_data": _LIGHT,
    "validate_infra": _READING,
}
OURS = "kfp_ct.components."


def of(component: str) -> dict[str, str]:
    """Returns the requests of a component; none of one that is not ours.

    Args:
        component: Import path of its folder.
    """
    return dict(_OF_COMPONENT.get(component.removeprefix(OURS), {})) if component.startswith(OURS) else {}
