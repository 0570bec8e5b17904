"""Which version of a model answers a request while a candidate is released: <root>/<model>/release.json.

`ct release` and `ct watch` write that file; here it is only read. All rows of a request go to one version, by the
request's key: the same key always finds the same version, and who has the candidate keeps it when its share grows.
"""

import contextvars
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from kfp_ct.serving.values import Inputs, Lists

RELEASE_FILE, CANDIDATE = "release.json", "candidate"
LIVE, CANARY, SHADOW = "live", "canary", "shadow"
RUNNING, PROMOTING = "running", "promoting"
KEY_HEADER = "x-release-key"
# What the caller of the request at hand says its key is; empty for nothing.
request_key: contextvars.ContextVar[str] = contextvars.ContextVar("request_key", default="")
_HASH_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Routing:
    """How a model's traffic is split.

    Attributes:
        release: Id of the release, which the log names.
        candidate: The version that is tried.
        percent: Its share of the requests.
        shadow: The share of the requests that it answers unseen by clients.
        key: The input whose value decides; empty for all inputs.
    """

    release: str
    candidate: int
    percent: int
    shadow: int
    key: str

    def role(self, key: bytes) -> str:
        """Returns who answers the requests of a key: live, canary, or live with a shadow."""
        place = self._place(key)
        if place < self.percent:
            return CANARY
        return SHADOW if place < self.shadow else LIVE

    def _place(self, key: bytes) -> float:
        salt = f"{self.candidate}".encode()
        digest = hashlib.blake2b(key, digest_size=_HASH_BYTES, key=salt).digest()
        return 100 * int.from_bytes(digest) / 2 ** (8 * _HASH_BYTES)

    def key_of(self, inputs: Inputs) -> bytes:
        """Returns the key of a request that names none: the first row of the chosen input, else all rows."""
        chosen = inputs.get(self.key) if self.key else None
        if isinstance(chosen, np.ndarray) and chosen.ndim and len(chosen):
            return _content(chosen[:1])
        return b"".join(name.encode() + _content(inputs[name]) for name in sorted(inputs))


class UnreadableError(Exception):
    """A release's file cannot be read; what was known goes on."""


def read_routing(folder: Path) -> Routing | None:
    """Returns how a model's traffic is split; None where no release runs.

    Raises:
        UnreadableError: The file is damaged.
    """
    path = folder / RELEASE_FILE
    try:
        state = json.loads(path.read_bytes())
        if state["state"] not in (RUNNING, PROMOTING):
            return None
        return _routing(state)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"{path} cannot be read, traffic stays split as it was: {error}") from error


def _routing(state: dict[str, Any]) -> Routing:
    percent = 100 if state["state"] == PROMOTING else int(state["percent"])
    shadow = int(state["shadow"]) if state["state"] == RUNNING else 0
    return Routing(str(state["id"]), int(state["candidate"]), percent, shadow, str(state["key"]))


def _content(value: np.ndarray | Lists) -> bytes:
    if isinstance(value, Lists):
        return b"".join(_content(part) for part in (value.values, value.lengths, value.present))
    # What is equal must have one text, whatever the array's memory looks like.
    return repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
