"""Ports for servers that have to be told theirs before they listen.

A port that the kernel gave and that is let go again may be anybody's a moment later: of another server that asks for
any port, or of a connection that goes out. Those named here lie below what the kernel gives.
"""

import random
import socket
from pathlib import Path

_GIVEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _USUAL_FIRST = 10_000, 32_768
_DRAWN = random.SystemRandom()


def free_ports(count: int = 1) -> list[int]:
    """Returns `count` different ports of 127.0.0.1 that nobody listens on and the kernel gives nobody."""
    first = int(_GIVEN_BY_THE_KERNEL.read_text().split()[0]) if _GIVEN_BY_THE_KERNEL.is_file() else _USUAL_FIRST
    first = max(first, _LOWEST + 1_000)  # a kernel that gives nearly all
    found: list[int] = []
    for port in _DRAWN.sample(range(_LOWEST, first), k=first - _LOWEST):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"fewer than {count} ports from {_LOWEST} to {first - 1} are free")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        # As servers do: a port whose last connections still linger is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
