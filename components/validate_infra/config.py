"""The settings of validate_infra, checked."""

import dataclasses
import math
import re
from typing import Any

from kfp_ct.base.errors import ConfigurationError

SUBPROCESS, CONTAINER = "subprocess", "docker:"
_ADDRESS = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?/v1/models/[^/:?#\s]+(/versions/\d+)?/?")


@dataclasses.dataclass(frozen=True)
class Infra:
    """What is sent to which service, and what it may cost; a budget that is None is measured but not judged.

    `server` is "subprocess", this project's service started by the step; "docker:IMAGE", a container of its image or of
    tensorflow/serving; or "http(s)://HOST/v1/models/NAME", a service that has loaded the model already, whose memory
    and start cannot be measured.
    """

    server: str = "subprocess"
    rows: int = 200
    batch_rows: int = 50
    tolerance: float = 1e-5
    concurrency: int = 2
    start_s: float = 300.0
    request_s: float = 60.0
    signature: str = "serving_default"
    p50_ms: float | None = None
    p99_ms: float | None = None
    min_rows_per_s: float | None = None
    max_memory_mb: float | None = None
    max_load_s: float | None = None
    max_model_mb: float | None = None

    @property
    def starts(self) -> bool:
        """Whether the step starts the service."""
        return self.server == SUBPROCESS or self.server.startswith(CONTAINER)


_COUNTS = ("rows", "batch_rows", "concurrency")


def read_infra(settings: dict[str, Any]) -> Infra:
    """Returns the settings.

    Raises:
        ConfigurationError: One is unknown, or its value cannot be used.
    """
    known = [field.name for field in dataclasses.fields(Infra)]
    if unknown := sorted(set(settings) - set(known)):
        raise ConfigurationError(f"infra has no setting {', '.join(unknown)}\nexpected: {', '.join(known)}")
    return Infra(**{name: _value(name, value) for name, value in settings.items()})


def _value(name: str, value: Any) -> Any:
    if name == "server":
        return _server(value)
    if name == "signature":
        if isinstance(value, str) and value:
            return value
        raise ConfigurationError(f"infra.signature is {value!r}\nexpected: the name of a signature")
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name in _COUNTS:
        # kfp hands every number of a dict over as a float.
        if number and value >= 1 and value == int(value):
            return int(value)
        raise ConfigurationError(f"infra.{name} is {value!r}\nexpected: a whole number from 1 on")
    if number and (value > 0 or (name == "tolerance" and value == 0)):
        return float(value)
    raise ConfigurationError(f"infra.{name} is {value!r}\nexpected: a number above 0")


def _server(value: Any) -> str:
    named = isinstance(value, str) and (
        value == SUBPROCESS
        or re.fullmatch(r"docker:[\w.][^\s]*", value) is not None
        or _ADDRESS.fullmatch(value) is not None
    )
    if named:
        return str(value)
    raise ConfigurationError(
        f"infra.server is {value!r}\nexpected: subprocess, docker:IMAGE, or a model's address such as "
        "http://HOST:8501/v1/models/NAME"
    )
