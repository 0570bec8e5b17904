"""What goes wrong is one message on standard error and an exit code; a defect keeps its traceback."""

import pytest

from cli_runner import ct, invoke
from kfp_ct.base import errors
from kfp_ct.cli import commands

RAISED = {}


def failing():
    """Raise what a test put there."""
    raise RAISED["error"]


@pytest.fixture
def fails(monkeypatch, tmp_path):
    """Runs a command that raises an error."""
    monkeypatch.setitem(commands.ENTRIES, "fail", commands.Entry("fail", f"{__name__}:failing", "Raise."))

    def run(error):
        RAISED["error"] = error
        return invoke(tmp_path, "fail")

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CtError("it failed"), 1),
        (errors.UsageError("it failed"), 2),
        (errors.PackageError("it failed"), 3),
        (errors.RunFailedError("it failed"), 4),
        (errors.TargetError("it failed"), 7),
        (errors.RunTimeoutError("it failed"), 124),
        (errors.ModelNotBlessedError("it failed"), 2),
        (errors.DataError("it failed"), 2),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_an_error_of_the_tree_is_a_message_and_its_code(fails, error, code):
    done = fails(error)

    assert (done.code, done.out, done.err) == (code, "", "error: it failed\n")


def test_further_lines_are_indented(fails):
    assert fails(errors.CtError("a\nexpected: b\nfix: c")).err == "error: a\n  expected: b\n  fix: c\n"


def test_ctrl_c_is_130_without_a_traceback(fails):
    done = fails(KeyboardInterrupt())

    assert (done.code, done.out, done.err) == (130, "", "")


def test_a_closed_pipe_is_quiet(fails):
    done = fails(BrokenPipeError())

    assert (done.code, done.out, done.err) == (141, "", "")


def test_a_defect_shows_its_traceback(fails):
    done = fails(ValueError("unforeseen"))

    assert done.code == 1
    assert done.err.startswith("Traceback (most recent call last):")
    assert done.err.endswith("ValueError: unforeseen\n")


@pytest.mark.parametrize(
    ("arguments", "message", "fix"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?", "ct --help"),
        (["images", "chekc"], "No such command 'chekc'. Did you mean 'check'?", "ct images --help"),
        (["runs", "--jsn"], "No such option: --jsn", "ct runs --help"),
        (["run"], "Missing argument 'PROJECT'.", "ct run --help"),
        (["serve", "--port", "x"], "Invalid value for '--port'", "ct serve --help"),
        (["serve", "--sample", "2"], "Invalid value for '--sample'", "ct serve --help"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_a_wrong_command_line_is_named_with_where_to_look(tmp_path, arguments, message, fix):
    done = ct(tmp_path, *arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")
    assert done.err.endswith(f"  fix: see `{fix}`\n")
