"""What `ct build` does beside running a build."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ct.build import config
from ct.errors import UsageError


def check(paths: Sequence[Path]) -> int:
    """Examines configurations and prints what is wrong, by file and line; returns the exit code."""
    refused = 0
    for path in paths:
        document, problems = config.examine(config.read_text(path))
        for problem in problems:
            kind = "error" if problem.fatal else "note"
            first, *rest = problem.message.splitlines()
            print("\n".join([f"{path}:{problem.line}: {kind}: {first}", *(f"  {line}" for line in rest)]))
        if any(problem.fatal for problem in problems):
            refused += 1
        else:
            steps = len(document.tree.get("steps", []))
            print(f"{path}: {steps} steps checked, nothing wrong")
    if refused:
        print(f"error: Cloud Build would refuse {refused} of {len(paths)} files", file=sys.stderr)
    return UsageError.exit_code if refused else 0


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Reads KEY=VALUE,KEY=VALUE as gcloud writes them.

    Raises:
        UsageError: A part is no KEY=VALUE.
    """
    found = {}
    for text in texts:
        for part in text.split(","):
            key, sign, value = part.partition("=")
            if not sign or not key:
                raise UsageError(f"{option} {part!r}\nexpected: {option} _KEY=VALUE,_OTHER=VALUE")
            found[key.strip()] = value
    return found
