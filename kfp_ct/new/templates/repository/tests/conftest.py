"""Runs each test in its environment: components need TensorFlow, what compiles and deploys pipelines must not.

components/  components, and the models of projects: in .venv-components
elsewhere    pipelines and settings: in .venv
"""

import importlib.util
import os
from pathlib import Path

# As ct gives it to tasks: which Keras tf.keras is must not hang on the order of imports.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

IN_COMPONENT_ENVIRONMENT = importlib.util.find_spec("tensorflow") is not None
COMPONENT_TESTS = Path(__file__).parent / "components"


def pytest_ignore_collect(collection_path: Path):
    """Leaves the other environment's test files to the other environment's run."""
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return collection_path.is_relative_to(COMPONENT_TESTS) != IN_COMPONENT_ENVIRONMENT or None
