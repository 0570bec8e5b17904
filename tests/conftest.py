"""Runs each test in its environment: a component's tests need TensorFlow, the author's tools must not.

unit/        one room at a time; no TensorFlow, no process, no service: `make test-fast` runs these alone
components/  components and what they are built of, with real TensorFlow
system/      commands, services and whole pipelines, as their users meet them
helpers/     what tests share, named by subject
"""

import gc
import importlib.util
import json
import os
import sys
from pathlib import Path

import hypothesis
import pytest

import cpu_seconds
import depth
import warm_python

# How long an example takes says how busy the machine is. `make test` tries the same examples each time, so that it
# fails by what was changed; `make test-deep` looks for new ones.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize=not depth.deep())
hypothesis.settings.load_profile("any machine")
# As ct gives it to tasks: which Keras tf.keras is must not hang on the order of imports.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
warm_python.leave_out_unused()

IN_COMPONENT_ENVIRONMENT = importlib.util.find_spec("tensorflow") is not None
COMPONENT_TESTS = Path(__file__).parent / "components"
# This process's own, whatever `sys.executable` is while tests run.
REAL_INTERPRETER = sys.executable
# Names a folder that several runs of pytest share, as `make test` runs one in each environment.
SHARED = "CT_TESTS_SHARED"
# What files cost, in CPU seconds: the dearest as they were found once, and over them what run.py has found here.
COSTS = (Path(__file__).parent / "costs.json", Path(__file__).parents[1] / ".ct" / "test_costs.json")


def pytest_addoption(parser):
    parser.addoption("--cold", action="store_true", help="start processes with real Pythons, which import all anew")


def pytest_ignore_collect(collection_path: Path):
    """Leaves the other environment's test files to the other environment's run."""
    if collection_path.is_dir():  # what their conftest.py imports is not there either
        return (collection_path.is_relative_to(COMPONENT_TESTS) and not IN_COMPONENT_ENVIRONMENT) or None
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return collection_path.is_relative_to(COMPONENT_TESTS) != IN_COMPONENT_ENVIRONMENT or None


def pytest_configure():
    """Takes away the width of whose terminal this is: what commands print hangs on it."""
    os.environ.pop("COLUMNS", None)
    cpu_seconds.ask_tasks()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The dearest files first: begun last, one of them would go on alone while the other cores idle.

    A file that nobody has measured comes after the dearest if it has slow cases, else last.
    """
    costs = {}
    for known in COSTS:
        costs |= json.loads(known.read_text()) if known.is_file() else {}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: -costs.get(item.nodeid.split("::")[0], 8 if item.path in slow else 0))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Notes what a test takes of CPU where run.py asks for it."""
    before = cpu_seconds.taken()
    yield
    cpu_seconds.note(item.nodeid, before)


def pytest_collection_finish():
    """Lets the garbage collector pass over what was imported: TensorFlow's objects took it a twelfth of the CPU."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """Leaves it all to be taken down in order: libraries in C++ complain of what is not."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, request):
    """A folder that all processes of this test run have in common: what is slow to make is made there, once."""
    own = tmp_path_factory.getbasetemp()
    among_workers = own.parent if hasattr(request.config, "workerinput") else own
    folder = Path(os.environ.get(SHARED) or among_workers / "shared")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def real_interpreter(monkeypatch):
    """`sys.executable` is Python itself, not warm: for tests of what a process imports or is measured by."""
    monkeypatch.setattr(sys, "executable", REAL_INTERPRETER)
