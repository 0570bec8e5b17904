"""The inspection of TFX's pipelines, where tfx is installed: it prints what the tests of `ct from-tfx` read."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

import tfx_pipelines
from kfp_ct.new.from_tfx import inspection

needs_tfx = pytest.mark.skipif(importlib.util.find_spec("tfx") is None, reason="the current component set has tfx")
NAMES = sorted(path.stem for path in (tfx_pipelines.PIPELINES / "inspected").glob("*.json"))


def inspect(*arguments):
    command = [sys.executable, "-W", "ignore", inspection.__file__, *arguments]
    environment = {**os.environ, "HOME": "/home/me", "TF_USE_LEGACY_KERAS": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def comparable(found):
    """Without paths of the machine, and without what a strategy is called that TFX renames."""
    for node in found["components"]:
        node["conditions"] = len(node["conditions"])
        node["exec_properties"].pop("resolver_class", None)
    return {**found, "file": found["file"].rpartition("/")[2]}


@pytest.mark.slow
@needs_tfx
@pytest.mark.parametrize("name", NAMES)
def test_a_pipeline_is_inspected_and_not_run(name):
    ran = inspect(str(tfx_pipelines.PIPELINES / f"{name}.py"))
    assert ran.returncode == 0, ran.stderr
    recorded = json.loads((tfx_pipelines.PIPELINES / "inspected" / f"{name}.json").read_text())
    assert comparable(json.loads(ran.stdout)) == comparable(recorded)


@pytest.mark.slow
@needs_tfx
def test_a_function_is_called_with_what_the_file_has_and_what_is_given(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from tfx import v1 as tfx\n"
        "_data_root = '/data'\n"
        "def make(data_root, name, extra):\n"
        "    rows = tfx.components.CsvExampleGen(input_base=data_root + extra)\n"
        "    return tfx.dsl.Pipeline(pipeline_name=name, pipeline_root='/x', components=[rows])\n"
    )
    ran = inspect(str(file), "make", "name=mine", "extra=/more")
    found = json.loads(ran.stdout)
    assert found["name"] == "mine"
    assert found["components"][0]["exec_properties"]["input_base"] == "/data/more"
    refused = inspect(str(file), "make", "name=mine")
    assert refused.returncode
    assert "make" in refused.stderr
    assert "--argument extra=" in refused.stderr
