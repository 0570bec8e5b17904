"""One version of a model: what a loaded one can do, its state, and who is using it."""

import dataclasses
from typing import Any, Protocol

import numpy as np

from kfp_ct.serving.values import Inputs, InputSpec
from kfp_ct.serving.version_folders import Folder

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


class Model(Protocol):
    """What a loaded version can do."""

    @property
    def specs(self) -> dict[str, dict[str, InputSpec]]:
        """The inputs of its signatures."""

    @property
    def definitions(self) -> dict[str, Any]:
        """Its signatures as the SavedModel has them: SignatureDefs by name."""

    def run(self, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        """Returns a signature's outputs."""

    def batches(self, signature: str) -> bool:
        """Whether requests for a signature may be put together."""

    def metadata(self) -> dict[str, Any]:
        """Returns its signatures."""

    def warm_up(self) -> None:
        """Makes the first request as fast as the others."""


@dataclasses.dataclass
class Version:
    """One version: its state in TensorFlow Serving's words, and who is using it."""

    number: int
    folder: Folder
    state: str = START
    error: str = ""
    model: Model | None = None
    users: int = 0
    loaded: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether it may be forgotten: while a folder that could not be loaded is there, it would be tried again."""
        return self.state == END and not (self.error and self.folder.path.is_dir())

    def status(self) -> dict[str, Any]:
        """Returns its entry in the status API."""
        status = {"error_code": "UNKNOWN" if self.error else "OK", "error_message": self.error}
        return {"version": str(self.number), "state": self.state, "status": status}
