"""The sources of a commit lie in a worktree of their own that goes again, however the command ends."""

import os
import signal
import subprocess

import pytest

from kfp_ct.base.errors import UsageError
from kfp_ct.reproduce import checkout


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        return subprocess.check_output(["git", "-C", tmp_path, *identity, *arguments], text=True)

    git("init", "--quiet")
    (tmp_path / "a.txt").write_text("committed")
    git("add", "a.txt")
    git("commit", "--quiet", "--message", "a")
    return tmp_path, git


def test_a_worktree_goes_when_the_command_is_terminated(repository):
    root, git = repository
    (root / "a.txt").write_text("changed since")

    trees = []

    def terminated_in_the_middle():
        with checkout.checked_out(root, "HEAD") as tree:
            trees.append(tree)
            assert (tree / "a.txt").read_text() == "committed"
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        terminated_in_the_middle()

    assert [tree.exists() for tree in trees] == [False]
    assert len(git("worktree", "list").splitlines()) == 1


def test_a_commit_that_is_not_there_is_said(repository):
    root, _ = repository
    with pytest.raises(UsageError, match="cannot be checked out"), checkout.checked_out(root, "0" * 40):
        pass
