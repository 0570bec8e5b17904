"""What all tests of components share.

Processes that components and their tests start have their imports done: see helpers/warm_python.py. Every import
statement that runs is held against the import closures that the cache trusts: see helpers/executed_imports.py.
"""

import gc

import pytest

import executed_imports
import interpreters


def pytest_configure(config):
    executed_imports.start()


def pytest_unconfigure(config):
    executed_imports.stop()


@pytest.fixture(scope="session", autouse=True)
def warm_interpreter(shared, request):
    """`sys.executable` is warm."""
    if request.config.getoption("--cold"):
        yield
        return
    yield from interpreters.started_by(interpreters.component_interpreter(shared))


@pytest.fixture(scope="module", autouse=True)
def leftovers_are_frozen():
    """What earlier files left is walked by the garbage collector no more, which runs at each unload of a model."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def imports_are_foreseen():
    """A file's tests also test that no module of ours imports what its closure lacks."""
    yield
    assert executed_imports.executed
    assert executed_imports.unforeseen() == []
