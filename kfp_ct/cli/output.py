"""How commands print for scripts, and what happens when nobody reads it."""

import dataclasses
import json
import os
import sys
from typing import Any


def print_json(value: Any) -> None:
    """Prints a value as JSON; dataclasses become objects, paths and times strings."""
    print(json.dumps(value, default=_plain, indent=1))


def discard_output() -> None:
    """Sends what is still to be written to a closed pipe nowhere, so that Python's end is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
