"""A model as evaluation sees it: raw columns in, the outputs that are judged out."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.data.saved_model import Role, SavedModel


@dataclasses.dataclass(frozen=True)
class Signature:
    """Which of a model's signatures and outputs to use, and whether the outputs are logits.

    Attributes:
        name: The signature.
        outputs: The outputs.
        logits: Whether they are logits.
        independent: TFMA's names of the outputs whose classes do not exclude each other.
    """

    name: str
    outputs: tuple[Output, ...]
    logits: bool = False
    independent: frozenset[str] = frozenset()


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
        role = Role(title, "score the eval rows", "name one as signature_name in the evaluation config")
        self.title = title
        self._model = SavedModel(path, signature.name, columns, role)
        self.require_shapes = self._model.require_shapes
        self.inputs = self._model.inputs
        self._signature = signature
        self._outputs = {output.name: self._choose(output.prediction_key) for output in signature.outputs}

    def predict(self, batch: pa.RecordBatch) -> dict[str, npt.NDArray[np.float32]]:
        """Returns every judged output by TFMA's name of it, shape (rows, values a row).

        Raises:
            ConfigurationError: The model fails on the batch, or gives something other than numbers for every row.
        """
        found = self._model.run(batch)
        return {name: self._of_output(name, found[key], batch.num_rows) for name, key in self._outputs.items()}

    def _of_output(self, name: str, values: npt.NDArray[Any], rows: int) -> npt.NDArray[np.float32]:
        numbers, asked = self._numbers(self._outputs[name], values, rows), self._signature
        return probabilities(numbers, name in asked.independent) if asked.logits else numbers

    def judged(self) -> tuple[Any, str]:
        """Returns the signature, for who differentiates it, and the name of its first judged output."""
        return self._model.function, next(iter(self._outputs.values()))

    def feed(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Returns the tensors that a batch's rows are for the signature, by name."""
        return self._model.feed(batch)

    def _choose(self, wanted: str) -> str:
        outputs = self._model.outputs
        if wanted in outputs or (not wanted and len(outputs) == 1):
            return wanted or outputs[0]
        raise ConfigurationError(
            f"{self.title} has the outputs {outputs}, of which {wanted or 'no one'!r} is to be judged\n"
            "fix: name one in the evaluation config, model_specs { prediction_key: '…' }"
        )

    def _numbers(self, key: str, values: npt.NDArray[Any], rows: int) -> npt.NDArray[np.float32]:
        fits = values.ndim > 0 and values.shape[0] == rows and values.size
        if not fits or not np.issubdtype(values.dtype, np.floating) or values.ndim > 3:
            raise ConfigurationError(
                f"{self.title}'s output {key} is {values.dtype} of shape {values.shape} for {rows} rows\n"
                "expected: a number, or one for every class, a row\n"
                "fix: name another output as prediction_key in the evaluation config"
            )
        return values.reshape(rows, -1).astype(np.float32)


def probabilities(logits: npt.NDArray[np.float32], independent: bool = False) -> npt.NDArray[np.float32]:
    """Returns the sigmoid of single or independent values, the softmax of several a row; what is not finite stays so.

    Args:
        logits: Shape (rows, values a row).
        independent: Whether several values a row do not exclude each other.
    """
    wide = logits.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if independent or logits.shape[1] == 1:
            return (1 / (1 + np.exp(-wide))).astype(np.float32)
        powers = np.exp(wide - wide.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
