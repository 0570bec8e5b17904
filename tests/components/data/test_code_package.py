"""A step's own entry fetches the user's code, checks it and runs with it first on the path: against SeaweedFS."""

import io
import os
import subprocess
import sys
import zipfile

import pytest

import seaweedfs
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.data import code_package
from kfp_ct.storage import storage
from repository import ROOT

# What load_module of a step does, and what it was started with.
ASK = (
    "import os, sys; from kfp_ct.data.user_code import load_module; "
    "print(load_module('pipelines.flights.features').SAYS, open('pipelines/flights/list.txt').read(), os.getcwd())"
)


def zipped(**files):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return written.getvalue()


CODE = zipped(**{
    "pipelines/__init__.py": "", "pipelines/flights/__init__.py": "",
    "pipelines/flights/features.py": "SAYS = 'from the package'\n", "pipelines/flights/list.txt": "its text",
})  # fmt: skip


@pytest.fixture(scope="module")
def store():
    with seaweedfs.running() as found:
        yield found


@pytest.fixture
def reachable(store, monkeypatch):
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)


def started(uri, *command, **environment):
    return subprocess.run(
        [sys.executable, "-m", code_package.MODULE, uri, *(command or (sys.executable, "-c", ASK))],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def test_a_step_runs_with_the_package_and_not_with_what_the_image_has(reachable, tmp_path):
    uri = f"s3://data/code/{code_package.name_of(CODE)}"
    assert storage.create(uri, CODE)
    ran = started(uri, TMPDIR=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()[-1]
    assert said.startswith("from the package its text ")
    assert said.split()[-1].startswith(str(tmp_path)), "in a folder of its own"
    assert not list(tmp_path.glob("ct-code-*")), "which is gone afterwards"
    no_key = started(uri, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="true")
    assert no_key.returncode == 2
    assert "Traceback" not in no_key.stderr
    assert f"code cannot be fetched: {uri} cannot be reached, the credentials are not" in no_key.stderr


def test_its_exit_code_is_the_steps_and_an_empty_name_fetches_nothing():
    assert code_package.run("", [sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_what_is_missing_or_another_is_one_message(reachable):
    missing = f"s3://data/code/{'0' * 64}.zip"
    with pytest.raises(DataError, match=f"code {missing} is not there\n.*\nfix: deploy the commit of this run again"):
        code_package.fetch(missing)
    storage.write(f"s3://data/code/{'1' * 64}.zip", CODE)
    with pytest.raises(DataError, match="its SHA-256 is another than its name"):
        code_package.fetch(f"s3://data/code/{'1' * 64}.zip")
    with pytest.raises(ConfigurationError, match="is no package of user code"):
        code_package.fetch("s3://data/code/latest.zip")
    with pytest.raises(ComponentError, match="the user's code cannot be fetched: there is no bucket"):
        code_package.fetch(f"s3://nobucket/code/{'0' * 64}.zip")


def test_on_a_volume_too(tmp_path):
    uri = tmp_path / code_package.name_of(CODE)
    uri.write_bytes(CODE)
    assert code_package.fetch(str(uri)) == CODE
