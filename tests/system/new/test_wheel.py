"""The wheel: one package with all that it needs, which `pip install` puts into an empty environment."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

import installed_library
import interpreters
from repository import ROOT

LINKED = "kfp_ct/new/templates/repository/"


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_adds_one_package(names):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"kfp_ct"}


def sources():
    """Files of the package, those that links lead to included."""
    for folder, folders, files in os.walk(ROOT / "kfp_ct", followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.endswith("_cache")]
        yield from (Path(folder, file).relative_to(ROOT).as_posix() for file in files if not file.endswith(".pyc"))


def test_it_has_every_file_of_the_package(names):
    assert sorted(set(sources()) - names) == []
    assert "kfp_ct/py.typed" in names
    assert "kfp_ct/components/train/work.py" in names
    assert f"{LINKED}requirements/components-current.txt" in names
    assert [name for name in names if "__pycache__" in name or ".ruff_cache" in name] == []


def test_one_of_the_source_distribution_is_the_same(names, tmp_path):
    made = installed_library.build_wheel(tmp_path)
    assert list((tmp_path / "dist").glob("*.tar.gz"))
    with zipfile.ZipFile(made) as archive:
        assert set(archive.namelist()) == names


@pytest.mark.slow
def test_pip_installs_it_into_an_empty_environment(wheel, tmp_path):
    def run(*command, code=0):
        done = subprocess.run(command, cwd=tmp_path, env=installed_library.outside(), capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    run(interpreters.REAL, "-m", "venv", "empty")
    python, ct = tmp_path / "empty/bin/python", tmp_path / "empty/bin/ct"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    files = run(python, "-c", "import importlib.metadata as m; print(*m.files('kfp-ct'), sep='\\n')").split()
    tops = {name.split("/")[0] for name in files if not name.startswith("..")}
    assert tops == {"kfp_ct", *(top for top in tops if top.endswith(".dist-info"))}
    assert run(ct, "--version").startswith("ct 0.")
    assert "init" in run(ct, "--help")
    assert "next: cd " in run(ct, "init", "mine")
    assert (tmp_path / "mine/vendor" / wheel.name).read_bytes() == wheel.read_bytes()
    nowhere = run(ct, "runs", code=2)
    assert "is in no repository that ct works on" in nowhere or "is not installed beside this ct" in nowhere
    bare = subprocess.run([ct, "compile", "flights"], cwd=tmp_path / "mine", env=installed_library.outside(),
                          capture_output=True, text=True)  # fmt: skip
    assert bare.returncode == 2
    assert "fix: run `make setup` there and use its .venv/bin/ct" in bare.stderr
