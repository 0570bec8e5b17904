"""The messages of the gRPC protocols, made from their descriptors; TensorFlow's own come from TensorFlow.

They live in pools of their own: a process that has the generated modules of a client package too has both.
"""

import functools
from collections.abc import Iterable
from importlib import resources
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import error_codes_pb2, meta_graph_pb2

_TF_SERVING, _OPEN_INFERENCE = "tensorflow_serving.binpb", "open_inference.binpb"
_OF_TENSORFLOW = (any_pb2, wrappers_pb2, example_pb2, tensor_pb2, error_codes_pb2, meta_graph_pb2)
_FIELD = descriptor_pb2.FieldDescriptorProto
# https://github.com/grpc/grpc/blob/master/doc/health-checking.md
_HEALTH = descriptor_pb2.FileDescriptorProto(
    name="grpc/health/v1/health.proto",
    package="grpc.health.v1",
    syntax="proto3",
    message_type=[
        descriptor_pb2.DescriptorProto(
            name="HealthCheckRequest",
            field=[_FIELD(name="service", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)],
        ),
        descriptor_pb2.DescriptorProto(
            name="HealthCheckResponse",
            field=[_FIELD(name="status", number=1, type=_FIELD.TYPE_INT32, label=_FIELD.LABEL_OPTIONAL)],
        ),
    ],
)


def tf_serving(name: str) -> Any:
    """Returns the class of a message of the package tensorflow.serving, or one of TensorFlow's that fits into it."""
    full = name if "." in name else f"tensorflow.serving.{name}"
    return message_factory.GetMessageClass(_pool(_TF_SERVING).FindMessageTypeByName(full))


def open_inference(name: str) -> Any:
    """Returns the class of a message of the Open Inference Protocol."""
    return message_factory.GetMessageClass(_pool(_OPEN_INFERENCE).FindMessageTypeByName(f"inference.{name}"))


def health(name: str) -> Any:
    """Returns the class of a message of gRPC's health protocol."""
    return message_factory.GetMessageClass(_health_pool().FindMessageTypeByName(f"grpc.health.v1.{name}"))


@functools.cache
def _pool(file: str) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    _add_with_dependencies(pool, (module.DESCRIPTOR for module in _OF_TENSORFLOW), set())
    content = resources.files("kfp_ct.serving").joinpath("descriptors", file).read_bytes()
    for descriptor in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(descriptor)
    return pool


@functools.cache
def _health_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_HEALTH)
    return pool


def _add_with_dependencies(pool: descriptor_pool.DescriptorPool, files: Iterable[Any], added: set[str]) -> None:
    for file in files:
        if file.name not in added:
            added.add(file.name)
            _add_with_dependencies(pool, file.dependencies, added)
            pool.AddSerializedFile(file.serialized_pb)
