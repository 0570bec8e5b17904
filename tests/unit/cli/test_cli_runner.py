"""The in-process runner shows what the process would show, and leaves no trace in the tests' own process."""

import os
import signal
import sys
from pathlib import Path

import pytest

from cli_runner import ct, invoke
from kfp_ct.cli import main
from repository import ROOT


def run_instead(monkeypatch, command):
    monkeypatch.setattr(main, "main", command)


@pytest.mark.parametrize(
    ("code", "exit_code", "err"), [(None, 0, ""), (4, 4, ""), ("no such thing", 1, "no such thing\n")]
)
def test_exit_codes_are_those_python_would_give(tmp_path, monkeypatch, code, exit_code, err):
    run_instead(monkeypatch, lambda: sys.exit(code))

    done = invoke(tmp_path)

    assert (done.code, done.err) == (exit_code, err)


def test_an_unforeseen_exception_is_a_traceback_and_code_1(tmp_path, monkeypatch):
    def command():
        raise ValueError("unforeseen")

    run_instead(monkeypatch, command)

    done = invoke(tmp_path)

    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err.endswith("ValueError: unforeseen\n")


def test_arguments_home_directory_and_variables_are_those_given(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    seen = []

    def command():
        seen.append((sys.argv, os.environ["CT_HOME"], Path.cwd(), os.environ.get("COLUMNS")))

    run_instead(monkeypatch, command)

    ct(tmp_path, "runs", "--json")
    ct(tmp_path, cwd=tmp_path, environment={"COLUMNS": "120"})

    assert seen == [
        (["ct", "runs", "--json"], str(tmp_path), ROOT, None),
        (["ct"], str(tmp_path), tmp_path, "120"),
    ]


def test_afterwards_the_process_is_as_it_was(tmp_path, monkeypatch):
    def command():
        os.chdir(tmp_path)
        os.environ["LEFT"] = "behind"
        os.environ.pop("PATH")
        sys.path.insert(0, str(tmp_path))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    def state():
        streams = sys.stdout, sys.stderr, os.fstat(1).st_ino, os.fstat(2).st_ino
        return dict(os.environ), list(sys.path), sys.argv, Path.cwd(), signal.getsignal(signal.SIGTERM), *streams

    run_instead(monkeypatch, command)
    before = state()

    done = invoke(tmp_path)

    assert done.code == -signal.SIGINT
    assert state() == before


def test_a_users_mistake_is_a_message_and_code_2(tmp_path):
    done = ct(tmp_path, "compile", "nothing")

    assert done.code == 2
    assert done.err.startswith("error: there is no project 'nothing'")
    assert "Traceback" not in done.err
