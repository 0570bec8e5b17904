"""A signature's outputs as classes with scores, or as one value a row: what classify and regress answer."""

from typing import Any

import numpy as np

from kfp_ct.serving.errors import InvalidRequestError

CLASSES, SCORES, OUTPUTS = "classes", "scores", "outputs"
Arrays = dict[str, np.ndarray]


def classes(signature: str, outputs: Arrays, rows: int) -> list[list[tuple[str, float]]]:
    """Returns each row's labels and scores; a label is "" where the model names none.

    Raises:
        InvalidRequestError: The outputs are no classes.
    """
    labels, scores = outputs.get(CLASSES), outputs.get(SCORES)
    if labels is None and scores is None:
        scores = _only_number(signature, outputs, f"`{SCORES}`, `{CLASSES}`")
    table: Any = None if labels is None else _two_dimensional(signature, CLASSES, labels, rows)
    numbers: Any = None if scores is None else _two_dimensional(signature, SCORES, scores, rows)
    if table is None:
        table = np.full(numbers.shape, "", object)
    if numbers is None:
        numbers = np.zeros(table.shape)
    if table.shape != numbers.shape:
        raise InvalidRequestError(f"signature {signature}: `{CLASSES}` and `{SCORES}` have different shapes")
    return [
        [(_text(label), float(score)) for label, score in zip(*pair, strict=True)]
        for pair in zip(table.tolist(), numbers.tolist(), strict=True)
    ]


def values(signature: str, outputs: Arrays, rows: int) -> list[float]:
    """Returns each row's value.

    Raises:
        InvalidRequestError: The outputs are not one value a row.
    """
    array = outputs[OUTPUTS] if OUTPUTS in outputs else _only_number(signature, outputs, f"`{OUTPUTS}`")
    if array.dtype.kind not in "fiu" or array.shape not in ((rows,), (rows, 1)):
        raise InvalidRequestError(
            f"signature {signature}: regress needs one number a row, its output has shape {list(array.shape)}"
        )
    return [float(value) for value in array.reshape(-1).tolist()]


def _only_number(signature: str, outputs: Arrays, wanted: str) -> np.ndarray:
    numbers = [array for array in outputs.values() if array.dtype.kind == "f"]
    if len(outputs) != 1 or len(numbers) != 1:
        raise InvalidRequestError(
            f"signature {signature}: its outputs are {', '.join(sorted(outputs))}\nexpected: {wanted}, or a single "
            "output of floating-point numbers; ask for another with signature_name, or use predict"
        )
    return numbers[0]


def _two_dimensional(signature: str, name: str, array: np.ndarray, rows: int) -> np.ndarray:
    if array.ndim not in (1, 2) or len(array) != rows:
        raise InvalidRequestError(
            f"signature {signature}: `{name}` has shape {list(array.shape)}\nexpected: [{rows}, number of classes]"
        )
    return array.reshape(rows, -1)


def _text(label: Any) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)
