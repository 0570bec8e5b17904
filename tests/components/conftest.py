"""Processes that components and their tests start have their imports done: see helpers/warm_python.py."""

import pytest

import interpreters


@pytest.fixture(scope="session", autouse=True)
def warm_interpreter(shared, request):
    """`sys.executable` is warm."""
    if request.config.getoption("--cold"):
        yield
        return
    yield from interpreters.started_by(interpreters.component_interpreter(shared))
