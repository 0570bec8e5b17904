"""References to functions: `pipelines.churn.judging:eval_config`, or of a file, `models/judging.py:eval_config`."""

import re

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|[^:\n\0]+\.py):([A-Za-z_]\w*)")


def split(reference: str) -> tuple[str, str] | None:
    """Returns module (import path or file) and function; None where a reference names no function."""
    found = _REFERENCE.fullmatch(reference)
    return (found[1], found[2]) if found else None
