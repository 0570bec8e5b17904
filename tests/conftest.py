"""Runs each test in its environment: a component's tests need TensorFlow, the author's tools must not.

unit/        one room at a time; no TensorFlow, no process, no service: `make test-fast` runs these alone
components/  components and what they are built of, with real TensorFlow
system/      commands, services and whole pipelines, as their users meet them
helpers/     what tests share, named by subject
"""

import importlib.util
import os
from pathlib import Path

import pytest

# As ct gives it to tasks: which Keras tf.keras is must not hang on the order of imports.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

IN_COMPONENT_ENVIRONMENT = importlib.util.find_spec("tensorflow") is not None
COMPONENT_TESTS = Path(__file__).parent / "components"


def pytest_ignore_collect(collection_path: Path):
    """Leaves the other environment's test files to the other environment's run."""
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return collection_path.is_relative_to(COMPONENT_TESTS) != IN_COMPONENT_ENVIRONMENT or None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with slow cases first: begun last, one of them would go on alone while the other cores idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
