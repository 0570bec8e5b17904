"""Protobuf's text format, read without TensorFlow's libraries: what can be wrong with a file is said before a run."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    text_format,
    wrappers_pb2,
)

from kfp_ct.base.setting_problems import nearest

# Definitions of the newest set of component libraries, which infra/evaluation_names.py writes.
TYPES = Path(__file__).with_name("message_types.binpb")
EVAL_CONFIG = "tensorflow_model_analysis.EvalConfig"
SCHEMA = "tensorflow.metadata.v0.Schema"
_UNKNOWN_FIELD = re.compile(r'Message type "([^"]+)" has no field named "([^"]+)"')


def parse(text: str, kind: str) -> Any:
    """Reads a message.

    Args:
        text: The text.
        kind: Full name of the message, such as SCHEMA.

    Raises:
        ValueError: It is no such message; says in which line.
    """
    try:
        return text_format.Parse(text, _empty(kind))
    except text_format.ParseError as error:
        raise ValueError(_said(error, text)) from error


def from_dict(fields: Mapping[str, Any], kind: str) -> Any:
    """Returns a message of what JSON has of it.

    Raises:
        ValueError: It is no such message.
    """
    try:
        return json_format.ParseDict(dict(fields), _empty(kind), descriptor_pool=_pool())
    except json_format.ParseError as error:
        raise ValueError(str(error)) from error


def _empty(kind: str) -> Any:
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(kind))()


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for each in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(each.DESCRIPTOR.serialized_pb)
    for file in descriptor_pb2.FileDescriptorSet.FromString(TYPES.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _said(error: text_format.ParseError, text: str) -> str:
    number = error.GetLine() or 0
    lines = text.splitlines()
    shown = f" ({lines[number - 1].strip()[:60]})" if 0 < number <= len(lines) else ""
    what = str(error).split(" : ", 1)[-1].strip()
    if unknown := _UNKNOWN_FIELD.search(what):
        known = [field.name for field in _pool().FindMessageTypeByName(unknown[1]).fields]
        near = nearest(unknown[2], known)
        what = f"{unknown[1].rpartition('.')[2]} has no field {unknown[2]}; " + (
            near or f"expected one of {', '.join(sorted(known))}"
        )
    return f"line {number}{shown}: {what}" if number else what
