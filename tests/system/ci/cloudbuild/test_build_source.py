"""What reaches a build's workspace: what gcloud would upload, or what git knows, or a commit; and given inputs."""

import subprocess

import pytest

from ct_command import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.ci.cloudbuild import source
from repository import ROOT


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def copied(root, destination):
    source.copy(root, destination)
    return sorted(str(path.relative_to(destination)) for path in destination.rglob("*") if not path.is_dir())


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    write(root, "a.py", "keys/ca.crt", "logs/x.log", "logs/kept.txt", "out/made.bin", "out/deep/kept.txt")
    (root / ".gitignore").write_text("*.log\nout/\nkeys/*\n")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    return root


def test_without_a_gcloudignore_what_git_knows_is_copied(root, tmp_path):
    assert copied(root, tmp_path / "copy") == [".gitignore", "a.py", "logs/kept.txt"]


def test_a_gcloudignore_decides_alone(root, tmp_path):
    (root / ".gcloudignore").write_text("# a comment\n.git\nout\n/logs/*.log\n")
    assert copied(root, tmp_path / "copy") == [".gcloudignore", ".gitignore", "a.py", "keys/ca.crt", "logs/kept.txt"]


def test_it_includes_another_file_and_calls_back_what_that_one_leaves_out(root, tmp_path):
    (root / ".gcloudignore").write_text(".git\n#!include:.gitignore\n!keys/*\n!out/deep/kept.txt\n")
    found = copied(root, tmp_path / "copy")
    # As with git, nothing below an ignored folder is called back.
    assert found == [".gcloudignore", ".gitignore", "a.py", "keys/ca.crt", "logs/kept.txt"]
    (root / ".gcloudignore").write_text("#!include:.dockerignore\n")
    with pytest.raises(UsageError, match=r"includes \.dockerignore, which is not there"):
        source.copy(root, tmp_path / "other")


def test_git_itself_is_uploaded_unless_it_is_left_out(root, tmp_path):
    (root / ".gcloudignore").write_text("out\n")
    assert ".git/HEAD" in copied(root, tmp_path / "copy")


def test_links_are_copied_as_links(root, tmp_path):
    (root / "link").symlink_to("logs")
    (root / ".gcloudignore").write_text(".git\n")
    source.copy(root, tmp_path / "copy")
    assert (tmp_path / "copy" / "link").is_symlink()


def test_this_projects_optional_build_inputs_are_uploaded_and_its_environments_are_not(tmp_path):
    root = tmp_path / "root"
    write(root, "infra/build-inputs/ca.crt", ".ct/runs/x", ".venv/bin/python", "ct/a.py", "ct/__pycache__/a.pyc")
    for name in (".gitignore", ".gcloudignore", "infra/build-inputs/.gitignore"):
        (root / name).write_text((ROOT / name).read_text())
    assert copied(root, tmp_path / "copy") == [
        ".gcloudignore",
        ".gitignore",
        "ct/a.py",
        "infra/build-inputs/.gitignore",
        "infra/build-inputs/ca.crt",
    ]


def test_a_commit_has_what_is_in_it_and_the_inputs_that_are_given(root, tmp_path):
    commit = ["-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message", "first"]
    (root / "cloudbuild.yaml").write_text("steps: [{name: debian, args: [sh, -c, 'ls keys; cat keys/ca.crt']}]\n")
    subprocess.run(["git", "-C", root, "add", "."], check=True)
    subprocess.run(["git", "-C", root, *commit], check=True)
    options = ["build", "--source", str(root), "--commit", "HEAD", "--no-containers"]
    given = f"keys/ca.crt={root / 'keys' / 'ca.crt'}"
    done = ct(tmp_path / "home", *options, "--input", given)
    assert done.code == 0, done.out
    (log,) = (tmp_path / "home").glob("builds/*/logs/*.log")
    assert log.read_text() == "ca.crt\nkeys/ca.crt\n"
    assert ct(tmp_path / "other", *options).code == 4, "a commit alone has no ignored file"
    refused = ct(tmp_path / "home", *options, "--input", "keys/ca.crt=/nowhere/ca.crt")
    assert refused.code == 2
    assert "/nowhere/ca.crt" in refused.err
    assert ct(tmp_path / "home", *options, "--input", "../x=/etc/hostname").code == 2


def test_every_step_sees_what_this_machine_adds_and_its_own_comes_first(tmp_path):
    (tmp_path / "source").mkdir()
    step = "{name: debian, args: [sh, -c, 'echo $$A $$B'], env: [B=own]}"
    (tmp_path / "source" / "cloudbuild.yaml").write_text(f"steps: [{step}]\n")
    options = ["--source", str(tmp_path / "source"), "--no-containers", "--env", "A=a,B=b"]
    assert ct(tmp_path / "home", "build", *options).code == 0
    (log,) = (tmp_path / "home").glob("builds/*/logs/*.log")
    assert log.read_text() == "a own\n"
