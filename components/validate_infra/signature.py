"""What clients of the champion rely on: its signature's inputs and outputs, read without loading the model."""

import dataclasses
from collections.abc import Collection
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kfp_ct.data import layouts


@dataclasses.dataclass(frozen=True)
class Signature:
    """Types by name, as one writes them: `int64 [-1]`."""

    inputs: dict[str, str]
    outputs: dict[str, str]

    def without(self, names: Collection[str]) -> "Signature":
        """Returns the signature as it is without some inputs."""
        return Signature({name: kind for name, kind in self.inputs.items() if name not in names}, self.outputs)


def read(model_path: str, name: str) -> Signature | None:
    """Returns a model's signature; None if it has none of that name."""
    path = Path(model_path) / layouts.SERVING_MODEL / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        if name in graph.signature_def:
            found = graph.signature_def[name]
            inputs = {key: _type(info, column=True) for key, info in found.inputs.items()}
            return Signature(inputs, {key: _type(info, column=False) for key, info in found.outputs.items()})
    return None


def breaking_changes(champion: Signature, challenger: Signature) -> list[str]:
    """Lists what clients of the champion would stumble over; new inputs are not judged here."""
    found = []
    for kind, before, after in (
        ("input", champion.inputs, challenger.inputs),
        ("output", champion.outputs, challenger.outputs),
    ):
        for name in sorted(before):
            if name not in after:
                found.append(f"{kind} {name} was removed")
            elif before[name] != after[name]:
                found.append(f"{kind} {name} was {before[name]}, is {after[name]}")
    return found


def _type(info: "tf.compat.v1.TensorInfo", column: bool) -> str:
    sizes = [dim.size for dim in info.tensor_shape.dim]
    # The service takes one value a row for both shapes of a column.
    sizes = [-1] if column and sizes == [-1, 1] else sizes
    shape = "of any shape" if info.tensor_shape.unknown_rank else sizes
    return f"{tf.as_dtype(info.dtype).name} {shape}"
