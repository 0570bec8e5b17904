"""Set-up: which component set and Python fit a machine, and what a failure tells its user."""

import sys
from pathlib import Path

import pytest

from kfp_ct.project import environments


@pytest.mark.parametrize(
    ("libc", "lock", "python"),
    [
        pytest.param(("glibc", "2.36"), "components-older-glibc.txt", "3.11", id="Debian 12"),
        pytest.param(("glibc", "2.38"), "components-current.txt", ">=3.12,<3.14", id="first that fits"),
        pytest.param(("glibc", "2.41"), "components-current.txt", ">=3.12,<3.14", id="Debian 13"),
        pytest.param(("", ""), "components-current.txt", ">=3.12,<3.14", id="macOS"),
    ],
)
def test_the_component_set_fits_the_c_library(libc, lock, python):
    assert environments.component_set(libc) == (lock, python)
    assert (environments.ROOT / "requirements" / lock).is_file()


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


def test_a_missing_python_is_named_with_its_versions():
    assert "expected: Python >=3.12,<3.14 on this machine" in environments.missing_python(">=3.12,<3.14")


def test_uv_is_pinned_once_in_its_own_lock_as_in_the_authors():
    own, authors = ((environments.ROOT / "requirements" / name).read_text() for name in ("uv.txt", "author.txt"))
    assert own.startswith("uv==")
    assert own in authors


def test_an_archive_without_the_link_gets_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    (tmp_path / "kfp_ct").mkdir()
    assert not environments.link_components(), "an installed library has its components"
    (tmp_path / "components").mkdir()
    assert environments.link_components()
    assert (tmp_path / "kfp_ct/components").readlink() == Path("../components")
    assert not environments.link_components()
