"""A model as evaluation sees it: raw columns in, one probability a row out."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.errors import ConfigurationError
from components.saved_model import Role, SavedModel

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
        role = Role(title, "score the eval rows", "name one as signature_name in the evaluation config")
        self.title = title
        self._model = SavedModel(path, signature.name, columns, role)
        self.inputs = self._model.inputs
        self._output = self._choose_output(signature.output)

    def predict(self, batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """Returns the probability of every row, shape (rows,).

        Raises:
            ConfigurationError: The model fails on the batch, or gives something other than a probability a row.
        """
        return self._probabilities(self._model.run(batch)[self._output], batch.num_rows)

    def _choose_output(self, wanted: str) -> str:
        outputs = self._model.outputs
        if wanted in outputs or (not wanted and len(outputs) == 1):
            return wanted or outputs[0]
        raise ConfigurationError(
            f"{self.title} has the outputs {outputs}, of which {wanted or 'no one'!r} is to be judged\n"
            "mend: name one in the evaluation config, model_specs { prediction_key: '…' }"
        )

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
