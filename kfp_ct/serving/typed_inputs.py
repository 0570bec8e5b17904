"""Inputs that come as typed tensors (gRPC, the Open Inference Protocol), held against a signature."""

import numpy as np

from kfp_ct.serving.errors import InvalidRequestError
from kfp_ct.serving.tensors import Specs
from kfp_ct.serving.values import Inputs, InputSpec, missing_rows

Arrays = dict[str, np.ndarray]


def fitted(arrays: Arrays, specs: Specs) -> Inputs:
    """Returns a signature's inputs; raw features that were left out are missing in every row, as in JSON.

    Raises:
        InvalidRequestError: A name, a type or a shape does not fit; the message says what the signature takes.
    """
    unknown = sorted(arrays.keys() - specs.keys())
    if unknown:
        raise InvalidRequestError(
            f"input tensor alias not found in signature: {', '.join(unknown)}. Inputs expected to be in the set "
            f"{{{', '.join(sorted(specs))}}}."
        )
    for name, array in arrays.items():
        _check(array, specs[name])
    absent = [spec for name, spec in specs.items() if name not in arrays]
    sizes = {len(array) for array in arrays.values() if array.ndim}
    if absent and (len(sizes) != 1 or any(spec.missing is None for spec in absent)):
        raise InvalidRequestError(
            f"Missing named input: {', '.join(spec.name for spec in absent)}\nexpected: {', '.join(map(said, absent))}"
        )
    return {**arrays, **{spec.name: missing_rows(spec, next(iter(sizes))) for spec in absent}}


def said(spec: InputSpec) -> str:
    """Returns an input's name, type and shape for a message."""
    if spec.shape is None:
        return f"{spec.name}: {spec.dtype} of any shape"
    return f"{spec.name}: {spec.dtype} [{', '.join('?' if size is None else str(size) for size in spec.shape)}]"


def _check(array: np.ndarray, spec: InputSpec) -> None:
    if array.dtype != spec.array_type:
        kind = "string" if array.dtype == object else array.dtype.name
        raise InvalidRequestError(f"input {spec.name} has the type {kind}\nexpected: {said(spec)}")
    fits = spec.shape is None or (
        len(spec.shape) == array.ndim
        and all(want in (None, size) for want, size in zip(spec.shape, array.shape, strict=True))
    )
    if not fits:
        raise InvalidRequestError(f"input {spec.name} has the shape {list(array.shape)}\nexpected: {said(spec)}")
