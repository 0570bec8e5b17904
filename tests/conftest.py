"""Runs each test file in its environment: a component's tests need TensorFlow, the author's tools must not."""

import importlib.util
import os
from pathlib import Path

import pytest

from tests_environment import AUTHOR_PREFIXES

# As ct gives it to tasks: which Keras tf.keras is must not hang on the order of imports.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

IN_COMPONENT_ENVIRONMENT = importlib.util.find_spec("tensorflow") is not None


def pytest_ignore_collect(collection_path: Path):
    """Leaves the other environment's test files to the other environment's run."""
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return collection_path.name.startswith(AUTHOR_PREFIXES) == IN_COMPONENT_ENVIRONMENT or None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Files with slow cases first: begun last, one of them would go on alone while the other cores idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
