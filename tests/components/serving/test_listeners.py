import socket

import pytest

from kfp_ct.serving import listeners
from kfp_ct.serving.options import UsageError


@pytest.fixture
def lost_ports(monkeypatch):
    """The first two ports that are let go are another process's before they are taken again."""
    taken = []

    def bind(host, port, shared=False):
        if shared and len(taken) < 2:
            other = socket.socket()
            other.bind((host, port))
            other.listen()
            taken.append(other)
        return real(host, port, shared)

    real = listeners.bind
    monkeypatch.setattr(listeners, "bind", bind)
    yield taken
    for other in taken:
        other.close()


def test_any_port_is_another_one_where_the_first_is_lost(lost_ports):
    with listeners.reserve("127.0.0.1", 0) as reserved:
        assert reserved.getsockname()[1] not in {other.getsockname()[1] for other in lost_ports}

    assert len(lost_ports) == 2


def test_a_port_that_was_named_is_not_given_up_for_another(lost_ports):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(UsageError, match=f"127.0.0.1:{port}"):
        listeners.reserve("127.0.0.1", port)
