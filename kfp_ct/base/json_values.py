"""Values as JSON can hold them."""

import math
from typing import Any


def jsonable(value: Any) -> Any:
    """Returns a value as JSON can hold it: None for NaN and infinity, text for what JSON does not know."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
