"""What a task imports before its first line of work: on a cluster each is a process of its own, and pays for it."""

import os
import subprocess

import pytest

from kfp_ct.project.environments import component_python
from repository import ROOT

# They need no TensorFlow: ingest while no file is TFRecord, schema while one is given.
LIGHT = ("deploy", "ingest", "register", "resolve_champion", "resolve_model", "resolve_sources", "schema")
HEAVY_MODULES = ("tensorflow", "keras", "apache_beam", "tfx_bsl", "pandas", "mlflow")


def start(imports):
    """Starts Python as kfp's executor does; returns the heavy modules that are imported."""
    found = f"print(*(name for name in {HEAVY_MODULES} if name in sys.modules))"
    code = f"import sys\nimport kfp.dsl.executor_main\n{imports}\n{found}"
    command = [str(component_python(ROOT)), "-W", "ignore", "-c", code]
    # A variable that Python reads at its start: with it a warm stand-in starts a process from nothing.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_KFP_RUNTIME": "true", "PYTHONHASHSEED": "0"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


@pytest.mark.parametrize("component", LIGHT)
def test_a_component_without_tensorflow_is_at_work_at_once(component):
    body = f"from kfp_ct.base.errors import reported\nfrom kfp_ct.components.{component} import work"
    assert start(body) == []


def test_what_is_heavy_is_seen():
    assert start("import pandas") == ["pandas"]
