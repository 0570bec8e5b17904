"""Writes what checks before a run know of TFMA, Keras and TensorFlow Metadata, which the author environment has not.

Run in the current component set after its libraries were upgraded; tests hold both files against the installed set:
`.venv-components/bin/python infra/evaluation_names.py`
"""

import inspect
import json
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

from kfp_ct.components.evaluate.metric_names import KNOWN
from kfp_ct.data.message_texts import TYPES

# google.protobuf comes with these itself.
_OWN = "google/protobuf/"


def message_types() -> descriptor_pb2.FileDescriptorSet:
    """Returns the definitions of EvalConfig and Schema with all that they use, in the order of their use."""
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_model_analysis.proto import config_pb2

    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(file: Any) -> None:
        for each in file.dependencies:
            add(each)
        if not file.name.startswith(_OWN) and file.name not in found:
            found[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)

    add(schema_pb2.DESCRIPTOR)
    add(config_pb2.DESCRIPTOR)
    return descriptor_pb2.FileDescriptorSet(file=found.values())


def metrics() -> dict[str, dict[str, Any]]:
    """Returns the metrics that an EvalConfig may name without a module: what they take, need and are called."""
    from tensorflow_model_analysis.metrics import metric_types
    from tensorflow_model_analysis.utils.keras_lib import tf_keras

    keras = {name: getattr(tf_keras.metrics, name) for name in dir(tf_keras.metrics)}
    classes = {
        name: each
        for name, each in keras.items()
        if isinstance(each, type) and issubclass(each, tf_keras.metrics.Metric) and not inspect.isabstract(each)
    }
    # TFMA looks for its own first.
    return {name: _described(each) for name, each in sorted({**classes, **metric_types.registered_metrics()}.items())}


def _described(metric: type) -> dict[str, Any]:
    parameters = dict(list(inspect.signature(metric.__init__).parameters.items())[1:])  # type: ignore[misc]
    anything = any(each.kind == each.VAR_KEYWORD for each in parameters.values())
    needed = [name for name, each in parameters.items() if each.default is each.empty and each.kind != each.VAR_KEYWORD]
    return {"takes": None if anything else sorted(parameters), "needs": sorted({*needed} - {"name"})}


if __name__ == "__main__":
    TYPES.write_bytes(message_types().SerializeToString(deterministic=True))
    rows = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in metrics().items()]
    Path(KNOWN).write_text("{\n" + ",\n".join(rows) + "\n}\n")
