"""A package is the same bytes, whichever process compiles it."""

import os
import subprocess
import sys

from repository import ROOT


def test_compiling_in_another_process_gives_the_same_bytes(tmp_path):
    outputs = []
    for seed in ("1", "2"):
        output = tmp_path / f"{seed}.yaml"
        command = [sys.executable, "-m", "kfp_ct.cli.main", "compile", "flights", "-o", str(output)]
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
