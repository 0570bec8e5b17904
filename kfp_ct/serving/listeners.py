"""The ports that the service listens on."""

import socket

from kfp_ct.serving.options import UsageError


def bind(host: str, port: int, shared: bool = False) -> socket.socket:
    """Takes a port; connections are accepted only when the models are loaded.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        shared: Whether other processes of this service listen on it too.

    Raises:
        UsageError: It is taken, or the address is not one of this machine.
    """
    try:
        return _listener(host, port, shared)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}\n"
            "  expected: a free port and an address of this machine\n"
            "  fix: stop what uses it, or choose another with --port"
        ) from error


def reserve(host: str, port: int) -> socket.socket:
    """Takes a port for several processes; one that another service listens on, even sharing it, is refused.

    Where any port will do (0), one that another process takes in the moment between is given up for the next.

    Raises:
        UsageError: It is taken, or the address is not one of this machine.
    """
    while True:
        with bind(host, port) as alone:
            alone.listen(1)  # a port that others share can be bound beside them, but not listened on
            found = alone.getsockname()[1]
        try:
            return bind(host, found, shared=True)
        except UsageError:
            if port:
                raise


def _listener(host: str, port: int, shared: bool) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # The protocol is named because asyncio turns Nagle's delay off (40 ms an answer) only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
