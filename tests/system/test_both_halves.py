"""`make test` fails if either half fails or has no tests, and says so in its last two lines."""

import os
import re
import subprocess

import pytest

from interpreters import REAL
from repository import ROOT

CASES = {
    "both pass": ("def test_one(): pass", 0, ("1 passed", "1 passed")),
    "one fails": ("def test_one(tmp_path): assert 'author' in tmp_path.parts", 1, ("1 passed", "1 failed")),
    "no tests": ("", 5, ("no tests ran", "no tests ran")),
    "not collected": ("import no_such_module", 2, ("1 error", "1 error")),
}


@pytest.mark.parametrize(("text", "code", "closing"), CASES.values(), ids=list(CASES))
def test_the_exit_code_and_the_last_lines_are_of_both(tmp_path, text, code, closing):
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "test_one.py").write_text(text)
    command = [REAL, "tests/run.py", "-n", "0", "-c", tmp_path / "pytest.ini", tmp_path / "test_one.py"]
    lean = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **lean}, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stdout.splitlines()[-2:]
    assert [re.sub(r" in [0-9.]+s$", "", line) for line in last] == list(closing)
    assert ("what the tests made is in" in done.stderr) == (code != 0)
