"""Makes kfp_ct/serving/descriptors from the packages that clients use: the wire formats, without their dependencies.

.venv-components/bin/python tests/helpers/serving_descriptors.py tensorflow_serving kfp_ct/serving/descriptors
.venv/bin/python tests/helpers/serving_descriptors.py open_inference kfp_ct/serving/descriptors
"""

import contextlib
import importlib
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool

_APIS = "tensorflow_serving/apis"
_TF_SERVING = (
    "model", "input", "classification", "regression", "inference", "predict", "get_model_metadata", "status",
    "get_model_status", "prediction_service", "model_service", "prediction_log",
)  # fmt: skip
# What needs a server's configuration, sessions or logs of TensorFlow Serving itself.
_LEFT_OUT = ("model_management.proto", "session_service.proto", "logging.proto")
_LEFT_OUT_FIELDS = {"PredictionLog": {"log_metadata", "session_run_log"}}
_OPEN_INFERENCE = (
    "ServerLiveRequest", "ServerLiveResponse", "ServerReadyRequest", "ServerReadyResponse", "ModelReadyRequest",
    "ModelReadyResponse", "ServerMetadataRequest", "ServerMetadataResponse", "ModelMetadataRequest",
    "ModelMetadataResponse", "InferParameter", "InferTensorContents", "ModelInferRequest", "ModelInferResponse",
)  # fmt: skip
_OPEN_INFERENCE_METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


def tensorflow_serving() -> descriptor_pb2.FileDescriptorSet:
    """Returns the messages of PredictionService and ModelService, and those of recorded warm-up requests."""
    import tensorflow  # noqa: F401 - its messages are what these consist of

    for name in (*_TF_SERVING, "model_management", "session_service", "logging"):
        with contextlib.suppress(AttributeError):  # some generated modules fail after they have added their file
            importlib.import_module(f"tensorflow_serving.apis.{name}_pb2")
    files = descriptor_pb2.FileDescriptorSet()
    for name in _TF_SERVING:
        descriptor_pool.Default().FindFileByName(f"{_APIS}/{name}.proto").CopyToProto(files.file.add())
        _strip(files.file[-1])
    return files


def _strip(file: descriptor_pb2.FileDescriptorProto) -> None:
    kept = [name for name in file.dependency if not name.endswith(_LEFT_OUT)]
    del file.dependency[:]
    file.dependency.extend(kept)
    file.ClearField("options")
    for message in file.message_type:
        left_out = _LEFT_OUT_FIELDS.get(message.name, set())
        _keep(message.field, [field for field in message.field if field.name not in left_out])
    _keep(file.message_type, [message for message in file.message_type if message.name != "SessionRunLog"])
    for service in file.service:
        _keep(service.method, [method for method in service.method if method.name != "HandleReloadConfigRequest"])


def open_inference() -> descriptor_pb2.FileDescriptorSet:
    """Returns the messages of GRPCInferenceService that the Open Inference Protocol has."""
    from tritonclient.grpc import service_pb2

    files = descriptor_pb2.FileDescriptorSet()
    file = files.file.add()
    service_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "open_inference_grpc.proto"
    del file.dependency[:]
    file.ClearField("options")
    _keep(file.message_type, [message for message in file.message_type if message.name in _OPEN_INFERENCE])
    service = file.service[0]
    _keep(service.method, [method for method in service.method if method.name in _OPEN_INFERENCE_METHODS])
    return files


def _keep(repeated: object, kept: list) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in kept]
    del repeated[:]
    repeated.extend(copies)


if __name__ == "__main__":
    name, folder = sys.argv[1:]
    Path(folder, f"{name}.binpb").write_bytes(globals()[name]().SerializeToString(deterministic=True))
