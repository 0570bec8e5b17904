"""A SavedModel over the columns of examples: raw columns in, its outputs as arrays out."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from kfp_ct.base import exception_texts
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.data import batches, layouts


@dataclasses.dataclass(frozen=True)
class Role:
    """How messages speak of a model: what it is called, what it is asked to do, where its signature is chosen."""

    title: str
    task: str = "score the rows"
    fix_signature: str = "name one of them"


class SavedModel:
    """A loaded model and one of its signatures.

    Attributes:
        role: How messages speak of it.
        inputs: Columns its signature takes by name; empty if it takes serialised tf.Examples.
        outputs: Names of its outputs, sorted.
        output_specs: Their types and shapes, by name.
    """

    def __init__(self, path: str, signature: str, columns: Sequence[str], role: Role) -> None:
        """Loads a SavedModel.

        Args:
            path: Model artifact; the SavedModel is in its Format-Serving/.
            signature: Name of the signature.
            columns: Columns of the examples.
            role: How messages speak of it.

        Raises:
            ConfigurationError: There is no model, or it does not fit the examples.
        """
        self._bind(_load(path, signature, role), signature, columns, role)

    @classmethod
    def of_loaded(cls, loaded: Any, signature: str, columns: Sequence[str], role: Role) -> "SavedModel":
        """Returns a model that TensorFlow has loaded already.

        Raises:
            ConfigurationError: It does not fit the examples.
        """
        model = cls.__new__(cls)
        model._bind(loaded, signature, columns, role)
        return model

    def _bind(self, loaded: Any, signature: str, columns: Sequence[str], role: Role) -> None:
        self.role = role
        self._loaded, self._function = loaded, loaded.signatures[signature]  # alone it would lose its variables
        self._specs = self._function.structured_input_signature[1]
        self._serialized = next(iter(self._specs)) if self._takes_examples(columns) else ""
        self.inputs = [] if self._serialized else sorted(self._specs)
        self.outputs = sorted(self._function.structured_outputs)
        self.output_specs = dict(self._function.structured_outputs)
        if missing := sorted(set(self.inputs) - set(columns)):
            raise ConfigurationError(
                f"{role.title} needs the columns {missing}, which the examples do not have\n"
                f"expected: inputs among {sorted(columns)}, or one string tensor of serialised tf.Examples"
            )

    def require_shapes(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuses rows whose lists of lists have another shape than the model takes, and as many values perhaps.

        Args:
            shapes: Of each column of lists of lists, the shape, as a dataset's manifest has it.

        Raises:
            ConfigurationError: One has another.
        """
        for name, spec in self._specs.items():
            taken = spec.shape.as_list()[1:] if spec.shape.rank is not None else []
            given = list(shapes.get(name, ()))
            if len(given) and len(taken) > 1 and not spec.shape[1:].is_compatible_with(given):
                raise ConfigurationError(
                    f"the column {name} has lists of the shape {_title(given)}, and {self.role.title} takes "
                    f"{_title(taken)}\nexpected: the same shape\nfix: correct the query, or take a model of these rows"
                )

    def run(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[Any]]:
        """Returns every output for a batch's rows, by name.

        Raises:
            ConfigurationError: The model fails on the batch.
        """
        try:
            outputs = self._function(**self.feed(batch))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            reason = exception_texts.first_line(error)
            raise ConfigurationError(f"{self.role.title} cannot {self.role.task}: {reason}") from error
        return {name: value.numpy() for name, value in outputs.items()}

    @property
    def function(self) -> Any:
        """The signature, a concrete function."""
        return self._function

    def feed(self, batch: pa.RecordBatch) -> dict[str, tf.Tensor]:
        """Returns the tensors that a batch's rows are for the signature, missing values filled up."""
        if self._serialized:
            return {self._serialized: tf.constant(batches.to_examples(batch))}
        return batches.to_signature_inputs(batch, self._specs)

    def _takes_examples(self, columns: Sequence[str]) -> bool:
        if len(self._specs) != 1:
            return False
        name, spec = next(iter(self._specs.items()))
        return spec.dtype == tf.string and name not in columns


def _title(sizes: Sequence[int | None]) -> str:
    return " × ".join("any" if size is None else str(size) for size in sizes)


def exists(path: str) -> bool:
    """Whether a model artifact holds a SavedModel."""
    return (Path(path) / layouts.SERVING_MODEL / "saved_model.pb").is_file()


def _load(path: str, signature: str, role: Role) -> Any:
    if not exists(path):
        raise ConfigurationError(f"{role.title}: no SavedModel in {path}/{layouts.SERVING_MODEL}")
    try:
        loaded = tf.saved_model.load(f"{path}/{layouts.SERVING_MODEL}")
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigurationError(f"{role.title} cannot be read: {exception_texts.first_line(error)}") from error
    if signature not in loaded.signatures:
        raise ConfigurationError(
            f"{role.title} has no signature {signature}\nexpected: one of {sorted(loaded.signatures)}\n"
            f"fix: save the model with a signature {signature}, or {role.fix_signature}"
        )
    return loaded
