"""What CI runs: the checks and the tests; and what the whole build says where it cannot run."""

import os
import shutil
import subprocess

import pytest

import container_engine
from repository import AUTHOR, ROOT


def whole_build(**environment):
    command = [AUTHOR / "bin" / "python", ROOT / "infra" / "whole_build.py"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)


def test_ci_runs_the_readmes_commands():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-2:] == ["make check", "make test"]
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize("name", [".ci/run", ".ci/packages", "infra/base-image.sh"])
def test_scripts_can_be_run_and_are_read_without_complaint(name):
    assert os.access(ROOT / name, os.X_OK)
    shell = "bash" if (ROOT / name).read_text().startswith("#!/usr/bin/env bash") else "sh"
    subprocess.run([shell, "-n", ROOT / name], check=True)


def test_packages_are_installed_on_a_machine_of_ci_only():
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run([ROOT / ".ci" / "packages"], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_docker_nothing_is_built_and_that_is_said(tmp_path):
    done = whole_build(PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout == "images NOT built: there is no docker here (apt-get install docker.io)\n"


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker here")
def test_without_an_engine_nothing_is_built_and_that_is_said():
    done = whole_build(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith("images NOT built: no engine answers, and none can be started")


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker here")
def test_without_disk_nothing_is_built_and_that_is_said(tmp_path_factory):
    with container_engine.engine(tmp_path_factory.mktemp("engine")) as host:
        done = whole_build(DOCKER_HOST=host, NEEDS_GB="999999")
        assert done.returncode == 5, done.stderr
        assert done.stdout.startswith("images NOT built: it takes 999999 GB of disk")
