"""Set-up asks the machine for a compiler and Python's headers, which some packages are built with."""

import sys
from pathlib import Path

from kfp_ct.project import environments


def test_a_missing_compiler_is_named_with_the_packages_to_install(tmp_path):
    message = environments.missing_to_compile(Path(sys.executable), str(tmp_path))

    assert "expected: a C++ compiler" in message
    assert "pyfarmhash" in message
    assert "fix: `apt-get install g++ python3-dev`" in message


def test_missing_headers_are_named(tmp_path):
    compiler = tmp_path / "g++"
    compiler.write_text("")
    compiler.chmod(0o755)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {tmp_path}\n")
    python.chmod(0o755)

    assert "expected: Python's header files, since" in environments.missing_to_compile(python, str(tmp_path))
    (tmp_path / "Python.h").write_text("")
    assert environments.missing_to_compile(python, str(tmp_path)) == ""
