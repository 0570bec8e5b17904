"""Unit tests are fast because they start nothing: what needs a process, a service or TensorFlow lies elsewhere."""

import sys

import pytest

STARTS = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
)


class ProcessStarted(BaseException):
    """A unit test starts a process; no exception that the code under test may catch."""


class _Guard:
    """Hears from Python of every process that is about to be started; refuses it while a unit test runs."""

    def __init__(self) -> None:
        self.test = ""
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.test and event in STARTS:
            raise ProcessStarted(
                f"{self.test} starts a process: {event} {arguments[0] if arguments else ''}\n"
                "expected: a unit test starts none\nfix: use cli_runner.ct, or move the test to tests/system"
            )


GUARD = _Guard()


@pytest.fixture(autouse=True)
def no_processes(request):
    """Refuses to start processes."""
    GUARD.test = request.node.nodeid
    yield
    GUARD.test = ""
