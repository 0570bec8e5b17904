"""Whether the rows of a signature may be answered together: found by trying, because a signature cannot say it.

A model that normalises over its batch, or ranks the rows of a request, gives a row another answer in other company.
"""

from collections.abc import Callable

import numpy as np

from kfp_ct.serving.values import Inputs, InputSpec, Lists

Arrays = dict[str, np.ndarray]
Run = Callable[[Inputs], Arrays]
_ROWS = 4
# Between a model's kernels for small and for large batches; a dependence between rows is far larger.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5
_TEXTS = (b"", b"a", b"b", b"1")


def rows_are_independent(run: Run, specs: dict[str, InputSpec]) -> bool:
    """Returns whether rows answered together are answered as they are alone; False where it cannot be tried."""
    if not specs or any(spec.shape is None or not spec.shape or spec.shape[0] is not None for spec in specs.values()):
        return False
    return _same(run, varied_rows(specs))


def varied_rows(specs: dict[str, InputSpec]) -> Inputs:
    """Returns rows that differ from each other, values that differ within a row, and lists of different lengths."""
    return {name: _varied(spec) for name, spec in specs.items()}


def _same(run: Run, inputs: Inputs) -> bool:
    try:
        together = run(inputs)
        alone = [run({name: _row(array, row) for name, array in inputs.items()}) for row in range(_ROWS)]
    except Exception:  # made-up rows may be refused where real ones are not
        return False
    return all(_equal(array, [part[name] for part in alone]) for name, array in together.items())


def _equal(together: np.ndarray, alone: list[np.ndarray]) -> bool:
    if any(array.ndim == 0 for array in (together, *alone)) or len(together) != _ROWS:
        return False
    if any(array.shape != (1, *together.shape[1:]) for array in alone):
        return False
    rows = np.concatenate(alone)
    if together.dtype.kind == "f":
        return np.allclose(together, rows, _RELATIVE, _ABSOLUTE, equal_nan=True)
    return bool((together == rows).all())


def _row(array: np.ndarray | Lists, row: int) -> np.ndarray | Lists:
    if not isinstance(array, Lists):
        return array[row : row + 1]
    start, only = int(array.lengths[:row].sum()), slice(row, row + 1)
    values = array.values[start : start + int(array.lengths[row])]
    return Lists(values, array.lengths[only], array.present[only], array.missing)


def _varied(spec: InputSpec) -> np.ndarray | Lists:
    if spec.is_list:
        lengths = np.arange(_ROWS)
        return Lists(_values(spec, (int(lengths.sum()),)), lengths, lengths >= 0, spec.missing)
    return _values(spec, (_ROWS, *(size or 1 for size in (spec.shape or ())[1:])))


def _values(spec: InputSpec, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    if spec.dtype == "string":
        return np.array(_TEXTS, object)[numbers % len(_TEXTS)]
    if spec.array_type.kind == "f":
        return (np.sin(numbers + 1) * (1 + numbers % 3)).astype(spec.array_type)
    return (numbers % 3).astype(spec.array_type)
