"""A SavedModel as evaluation sees it: raw columns in, one probability a row out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from components import artifacts, batches
from components.errors import ConfigurationError

# A sigmoid in float32 may end a rounding error outside.
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Signature:
    """Which of a model's signatures and outputs to use; an empty output means its only one."""

    name: str
    output: str


class Model:
    """A loaded model.

    Attributes:
        title: What messages call it.
        inputs: Columns its signature takes by name; empty if it takes serialised tf.Examples.
    """

    def __init__(self, path: str, title: str, signature: Signature, columns: Sequence[str]) -> None:
        """Loads a SavedModel.

        Args:
            path: Model artifact; the SavedModel is in its Format-Serving/.
            title: What messages call it.
            signature: Signature and output.
            columns: Columns of the examples.

        Raises:
            ConfigurationError: There is no model, or it does not fit the examples.
        """
        self.title = title
        self._loaded, self._function = _load(
            path, title, signature.name
        )  # the signature alone would lose its variables
        self._specs = self._function.structured_input_signature[1]
        self._output = self._choose_output(signature.output)
        self._serialized = next(iter(self._specs)) if self._takes_examples(columns) else ""
        self.inputs = [] if self._serialized else sorted(self._specs)
        if missing := sorted(set(self.inputs) - set(columns)):
            raise ConfigurationError(
                f"{title} needs the columns {missing}, which the examples do not have\n"
                f"expected: inputs among {sorted(columns)}, or one string tensor of serialised tf.Examples"
            )

    def predict(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Returns the probability of every row, shape (rows,).

        Raises:
            ConfigurationError: The model fails on the batch, or gives something other than a probability a row.
        """
        try:
            outputs = self._function(**self._feed(batch))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            first = str(error).splitlines()[0]
            raise ConfigurationError(f"{self.title} cannot score the eval rows: {first}") from error
        return self._probabilities(outputs[self._output].numpy(), batch.num_rows)

    def _takes_examples(self, columns: Sequence[str]) -> bool:
        if len(self._specs) != 1:
            return False
        name, spec = next(iter(self._specs.items()))
        return spec.dtype == tf.string and name not in columns

    def _choose_output(self, wanted: str) -> str:
        outputs = sorted(self._function.structured_outputs)
        if wanted in outputs or (not wanted and len(outputs) == 1):
            return wanted or outputs[0]
        raise ConfigurationError(
            f"{self.title} has the outputs {outputs}, of which {wanted or 'no one'!r} is to be judged\n"
            "mend: name one in the evaluation config, model_specs { prediction_key: '…' }"
        )

    def _feed(self, batch: pa.RecordBatch) -> dict[str, tf.Tensor]:
        if self._serialized:
            return {self._serialized: tf.constant(batches.to_examples(batch))}
        return batches.to_signature_inputs(batch, self._specs)

    def _probabilities(self, values: npt.NDArray[Any], rows: int) -> npt.NDArray[np.float32]:
        if values.size != rows or values.shape[0] != rows or not np.issubdtype(values.dtype, np.floating):
            raise ConfigurationError(
                f"{self.title}'s output {self._output} is {values.dtype} of shape {values.shape} for {rows} rows\n"
                "expected: one probability a row\nmend: name another output as prediction_key in the evaluation config"
            )
        flat = values.reshape(rows).astype(np.float32)
        finite = flat[np.isfinite(flat)]
        if len(finite) and (finite.min() < -TOLERANCE or finite.max() > 1 + TOLERANCE):
            raise ConfigurationError(
                f"{self.title}'s output {self._output} runs from {finite.min():.3g} to {finite.max():.3g}\n"
                "expected: probabilities between 0 and 1\nmend: end the model with a sigmoid, or name another output"
            )
        return np.clip(flat, 0, 1)


def exists(path: str) -> bool:
    """Whether a model artifact holds a SavedModel."""
    return (Path(path) / artifacts.SERVING_MODEL / "saved_model.pb").is_file()


def _load(path: str, title: str, signature: str) -> tuple[Any, Any]:
    if not exists(path):
        raise ConfigurationError(f"{title}: no SavedModel in {path}/{artifacts.SERVING_MODEL}")
    try:
        loaded = tf.saved_model.load(f"{path}/{artifacts.SERVING_MODEL}")
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ConfigurationError(f"{title} cannot be read: {str(error).splitlines()[0]}") from error
    if signature not in loaded.signatures:
        raise ConfigurationError(
            f"{title} has no signature {signature}\nexpected: one of {sorted(loaded.signatures)}\n"
            f"mend: save the model with a signature {signature}, or name one as signature_name in the evaluation config"
        )
    return loaded, loaded.signatures[signature]
