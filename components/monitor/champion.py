"""The champion and what is known of it: its training data, and the evaluation it was blessed by."""

import dataclasses
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base.errors import DataError
from kfp_ct.data import batches, layouts


@dataclasses.dataclass(frozen=True)
class Champion:
    """A registered model, as the registry keeps it."""

    version: str
    registered: str  # ISO 8601; empty where it is not known
    schema: schema_pb2.Schema
    manifest: layouts.Manifest
    statistics: statistics_pb2.DatasetFeatureStatisticsList  # of the rows it was trained on
    evaluation: dict[str, Any]

    @property
    def trained_until(self) -> str:
        """End of the window its data is from; empty where that was open."""
        return self.manifest.window.get("end", "")


def read(model_path: str, metadata: dict[str, Any]) -> Champion:
    """Reads a registered model.

    Args:
        model_path: Its folder.
        metadata: Its artifact's: version and registered.

    Raises:
        DataError: It was registered without its statistics, evaluation or schema.
    """
    version = str(metadata.get("version", ""))
    kept, training = (Path(model_path) / name for name in (layouts.REGISTERED, layouts.TRAINING))
    statistics = layouts.split_path(kept / "statistics", layouts.TRAIN) / layouts.STATISTICS_FILE
    evaluation = kept / "evaluation" / layouts.SUMMARY
    for path in (statistics, evaluation, training / layouts.SCHEMA, training / layouts.MANIFEST):
        if not path.is_file():
            raise DataError(
                f"the model v{version} has no {path.relative_to(model_path)} in {model_path}\n"
                "expected: a model registered with its statistics and evaluation\nfix: train and register it again"
            )
    return Champion(
        version,
        str(metadata.get("registered", "")),
        batches.read_schema(training / layouts.SCHEMA),
        layouts.read_manifest(training),
        statistics_pb2.DatasetFeatureStatisticsList.FromString(statistics.read_bytes()),
        layouts.read_json(evaluation),
    )
