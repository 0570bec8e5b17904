"""Measures importance for who has no TensorFlow: `python -m kfp_ct.components.evaluate.importance_process`.

Reads one JSON object from standard input, `evaluated` with the fields of `importance.Evaluated`, `folder` and `most`;
prints one: what was found, or `error`.
"""

import json
import sys
from typing import Any

from kfp_ct.base.errors import CtError


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Returns the importances, or why there are none."""
    from kfp_ct.components.evaluate import importance

    try:
        return importance.measure(importance.Evaluated(**asked["evaluated"]), asked["folder"], asked["most"])
    except CtError as error:
        return {"error": str(error)}


if __name__ == "__main__":
    print(json.dumps(answer(json.load(sys.stdin))))
