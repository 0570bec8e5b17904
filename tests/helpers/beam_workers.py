"""Beam's workers in two processes of this machine, for tests: they are sent everything, as a cluster's are."""

import os
import tempfile
from pathlib import Path

import pytest

TWO = ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.fixture(autouse=True)
def leave_nothing_behind(monkeypatch, tmp_path_factory):
    """Workers find the test's modules, and whatever Beam puts into the temporary folder is gone afterwards."""
    folders = (Path(__file__).parent, Path(__file__).parents[1] / "components" / "data")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield
    # TensorFlow's own, which it removes when the process ends, and what Python compiles of them.
    own = ("__autograph_generated_file", "__pycache__")
    assert [path for path in temporary.iterdir() if not path.name.startswith(own)] == []
