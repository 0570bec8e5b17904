"""Commands, services and whole pipelines run as processes, whose imports are done: see helpers/warm_python.py."""

import pytest

import interpreters

# See ../conftest.py.
SHARED = "CT_TESTS_SHARED"


@pytest.fixture(scope="session", autouse=True)
def warm_interpreters(shared, request):
    """`python` is warm, in both environments."""
    if request.config.getoption("--cold"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SHARED, str(shared))  # for runs of pytest that tests start
        patch.setenv("CT_COMPONENT_PYTHON", str(interpreters.component_interpreter(shared)))
        yield from interpreters.started_by(interpreters.author_interpreter(shared))
