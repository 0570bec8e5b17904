"""What the prediction service takes on."""

import dataclasses

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST = "*"


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    Attributes:
        body_bytes: Largest request body, also after it is unpacked.
        pending: Predictions that may wait or run at a time.
        threads: Predictions that run at a time.
        hosts: Names a request's Host header may have; "*" takes any.
        rows: Most rows of a request.
        seconds: Longest time for a prediction, waiting included.
        token: What callers must send as `Authorization: Bearer TOKEN`; None lets everybody ask.
    """

    body_bytes: int
    pending: int
    threads: int
    hosts: tuple[str, ...]
    rows: int = 1_000_000
    seconds: float = 60.0
    token: str | None = None
