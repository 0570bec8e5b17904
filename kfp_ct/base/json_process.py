"""A question to a process of another environment: JSON in, and JSON out on its last line."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import ComponentError, CtError


def ask(
    command: Sequence[str],
    asked: Mapping[str, Any],
    failure: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Runs a command with a question as its input; returns what it answers.

    Raises:
        CtError: It failed; `failure` says what it was to do.
        ComponentError: It answered with an `error`, a user's mistake.
    """
    text = json.dumps(asked)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=cwd, env=env)
    if done.returncode:
        raise CtError(f"{failure}:\n{done.stderr.strip()[-2_000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" in found:
        raise ComponentError(found["error"])
    return found
