"""What CI runs: the checks, the tests, and the images where they can be built; it says so where they cannot."""

import os
import shutil
import subprocess

import pytest

import container_engine
from ct.environments import ROOT


def images(**environment):
    command = [ROOT / ".ci" / "images"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)


def test_ci_runs_the_readmes_commands_and_the_images():
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-3:] == ["make check", "make test", ".ci/images"]
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize("name", [".ci/run", ".ci/images", "infra/base-image.sh"])
def test_scripts_can_be_run_and_are_read_without_complaint(name):
    assert os.access(ROOT / name, os.X_OK)
    shell = "bash" if (ROOT / name).read_text().startswith("#!/usr/bin/env bash") else "sh"
    subprocess.run([shell, "-n", ROOT / name], check=True)


def test_without_docker_the_images_are_not_built_and_that_is_said(tmp_path):
    for tool in ("bash", "dirname", "mktemp", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    done = images(PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "images NOT built: there is no docker here\n"), done.stderr


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker here")
def test_without_an_engine_the_images_are_not_built_and_that_is_said():
    done = images(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("images NOT built: no engine answers, and none can be started")


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"BASE": "ct-no-such-base:1"}, "the base image ct-no-such-base:1 is not here"),
        ({"BASE": "ct-test-tools:latest", "NEEDS_GB": "999999"}, "they take 999999 GB of disk"),
    ],
    ids=["base", "disk"],
)
def test_without_a_base_image_or_disk_the_images_are_not_built_and_that_is_said(tmp_path_factory, environment, why):
    if not shutil.which("docker"):
        pytest.skip("there is no docker here")
    with container_engine.engine(tmp_path_factory.mktemp("engine")) as host:
        done = images(DOCKER_HOST=host, **environment)
        assert done.returncode == 0, done.stderr
        assert f"images NOT built: {why}" in done.stdout
