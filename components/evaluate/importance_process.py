"""Measures importance for who has no TensorFlow: `python -m kfp_ct.components.evaluate.importance_process`.

Reads one JSON object from standard input, `evaluated` with the fields of `importance.Evaluated`, `folder`, `most` and
`method`, permutation by default; prints one: what was found, or `error`.
"""

import json
import sys
from typing import Any

from kfp_ct.base.errors import ConfigurationError, CtError


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Returns the importances, or why there are none."""
    from kfp_ct.components.evaluate import attribution, importance

    methods = {importance.METHOD: importance.measure, attribution.METHOD: attribution.measure}
    method = asked.get("method", importance.METHOD)
    try:
        if method not in methods:
            raise ConfigurationError(f"importance knows no method {method!r}\nexpected: one of {list(methods)}")
        return methods[method](importance.Evaluated(**asked["evaluated"]), asked["folder"], asked["most"])
    except CtError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
