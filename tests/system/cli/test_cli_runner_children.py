"""The in-process runner captures what the command starts, too."""

import os

from cli_runner import ct
from kfp_ct.cli import main


def test_output_of_python_and_of_what_it_starts_is_captured_in_order(tmp_path, monkeypatch):
    def command():
        print("first")
        os.system("echo second; echo error >&2")
        print("third")

    monkeypatch.setattr(main, "main", command)

    done = ct(tmp_path)

    assert (done.code, done.out, done.err) == (0, "first\nsecond\nthird\n", "error\n")
