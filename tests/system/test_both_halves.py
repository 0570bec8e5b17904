"""`make test` fails if either half fails or has no tests, and says so in its last two lines.

A test that fails beside others and passes alone is named, and fails nothing; not so more than three.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from interpreters import REAL
from repository import ROOT

# Fails the first time, in one of the halves, and then passes.
ONCE = """
import pathlib, pytest
NAMES = {names}
@pytest.mark.parametrize("name", NAMES)
def test_one(name, tmp_path):
    mark = pathlib.Path(__file__).with_suffix("." + name)
    if "author" in tmp_path.parts and not mark.exists():
        mark.touch()
        raise ValueError("by chance")
"""
CASES = {
    "both pass": ("def test_one(): pass", 0, ("1 passed", "1 passed")),
    "one fails": ("def test_one(tmp_path): assert 'author' in tmp_path.parts", 1, ("1 passed", "1 failed")),
    "no tests": ("", 5, ("no tests ran", "no tests ran")),
    "not collected": ("import no_such_module", 2, ("1 error", "1 error")),
}


def both_halves(folder: Path, text: str, count: int = 1) -> "subprocess.CompletedProcess[str]":
    (folder / "pytest.ini").write_text("[pytest]")
    files = [folder / f"test_{number}.py" for number in range(count)]
    for file in files:
        file.write_text(text)
    command = [REAL, "tests/run.py", "-n", "0", "-c", folder / "pytest.ini", *files]
    lean = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **lean}, capture_output=True, text=True)


@pytest.mark.parametrize(("names", "files", "code"), [(["a b", "c", "d", "e"], 1, 0), (["a"], 3, 0), (["a"], 4, 1)])
def test_those_of_a_few_files_that_pass_alone_are_named_and_fail_nothing(tmp_path, names, files, code):
    done = both_halves(tmp_path, ONCE.format(names=names), files)
    assert done.returncode == code, done.stdout + done.stderr
    assert "ValueError: by chance" in done.stdout
    unsteady = done.stdout.partition("UNSTEADY")[2]
    assert re.findall(r"^  .*::test_one\[(.*)\]$", unsteady, re.MULTILINE) == ([] if code else names * files)
    failed = re.findall(r"^FAILED author .*::test_one\[(.*)\]$", done.stdout, re.MULTILINE)
    assert failed == (names * files if code else [])


@pytest.mark.parametrize(("text", "code", "closing"), CASES.values(), ids=list(CASES))
def test_the_exit_code_and_the_last_lines_are_of_both(tmp_path, text, code, closing):
    done = both_halves(tmp_path, text)
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stdout.splitlines()[-2:]
    assert [re.sub(r" in [0-9.]+s$", "", line) for line in last] == list(closing)
    assert ("what the tests made is in" in done.stderr) == (code != 0)
