"""What a pipeline version says of itself: its description, its commit and settings, its name in short."""

import json
from typing import Any

from kfp_ct.deploy import version

_COMMIT_LENGTH = 40


def read_description(description: str) -> tuple[str, dict[str, Any]]:
    """Splits a version's description into its words and what `ct deploy` keeps there: commit, settings and the like."""
    found = version.read(description)
    if found is None:
        return description, {}
    lines = [line for line in description.splitlines() if not _is_note(line)]
    return "\n".join(lines).strip(), found


def _is_note(line: str) -> bool:
    """Whether a line is the JSON that `ct deploy` writes."""
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and "kfp-ct" in found


def short(name: str) -> str:
    """Shortens a commit; other names stay."""
    is_commit = len(name) == _COMMIT_LENGTH and all(letter in "0123456789abcdef" for letter in name)
    return name[:12] if is_commit else name
