"""Which service is tried: a process of this step, a container, or one that somebody else has started."""

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.core.framework import types_pb2

from kfp_ct.base import secrets
from kfp_ct.components.validate_infra import container, server, signature, warm_process
from kfp_ct.components.validate_infra.client import Client, Server, ServerError
from kfp_ct.components.validate_infra.settings import CONTAINER, SUBPROCESS, Infra

Connect = Callable[[], contextlib.AbstractContextManager[Server]]


@contextlib.contextmanager
def beginning(model_path: str, settings: Infra) -> Iterator[Connect]:
    """Yields what connects to the service, as `connect` does; one that is forked starts beside what is done meanwhile.

    Whatever else starts does so when it is asked for: nothing beside it then changes what is measured.
    """
    if settings.server != SUBPROCESS or _is_cold(settings) or not warm_process.available():
        yield lambda: connect(model_path, settings)
        return
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(1) as pool:
        started = pool.submit(stack.enter_context, connect(model_path, settings))
        yield lambda: contextlib.nullcontext(started.result())


@contextlib.contextmanager
def connect(model_path: str, settings: Infra) -> Iterator[Server]:
    """Yields the service that `infra.server` names, once it answers for the model.

    Raises:
        ConfigurationError: There is no engine to start the container with, or it cannot start the image.
        ServerError: The service does not answer, or has loaded a model of another signature.
    """
    if settings.server == SUBPROCESS:
        with server.serving(model_path, settings.start_s, _is_cold(settings)) as started:
            yield started
    elif settings.server.startswith(CONTAINER):
        with container.serving(model_path, settings.server.removeprefix(CONTAINER), settings.start_s) as started:
            yield started
    else:
        yield _remote(model_path, settings)


def _is_cold(settings: Infra) -> bool:
    return settings.max_load_s is not None or settings.max_memory_mb is not None


def _remote(model_path: str, settings: Infra) -> Server:
    address = secrets.resolve(settings.server)
    client = Client(address, settings.request_s)
    try:
        loaded = client.signatures().get(settings.signature)
        nulls = client.ready()
    finally:
        client.close()
    expected = signature.read(model_path, settings.signature)
    if expected is not None and loaded is not None:
        before = {kind: _types(loaded.get(kind, {})) for kind in ("inputs", "outputs")}
        wanted = {"inputs": _kinds(expected.inputs), "outputs": _kinds(expected.outputs)}
        if before == wanted:
            return Server(address, lambda: None, None, nulls)
        raise ServerError(f"{settings.server} has loaded another model: its signature has {before}, expected {wanted}")
    raise ServerError(f"{settings.server} has loaded another model: it has no signature {settings.signature}")


def _types(tensors: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: tf.as_dtype(types_pb2.DataType.Value(each["dtype"])).name for name, each in tensors.items()}


def _kinds(types: dict[str, str]) -> dict[str, str]:
    return {name: written.split()[0] for name, written in types.items()}
