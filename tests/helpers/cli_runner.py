"""Runs the `ct` command in this process: what a test needs of its texts and exit codes, without starting Python again.

    done = ct(tmp_path, "runs", "--json")
    assert (done.code, done.out) == (0, "[]\n")

A command that is killed, that must be a process of its own or that imports what would clash with the test belongs to
`ct_command.ct`, which has the same signature and answer.
"""

import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from ct_command import Done
from repository import ROOT

# What decides how wide and how coloured a terminal's text is: a test says so itself, or has no terminal.
DISPLAY = ("COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


def ct(home: Path, *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> Done:
    """Runs `ct ARGUMENTS` as `invoke` does; a traceback fails the test."""
    done = invoke(home, *arguments, cwd=cwd, environment=environment)
    assert "Traceback" not in done.err + done.out, done.err + done.out
    return done


def invoke(home: Path, *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> Done:
    """Runs `ct ARGUMENTS` with local state in `home`; afterwards this process is as it was.

    What the command starts writes into the same streams, as it would into a terminal. An exception that the command
    lets through is a traceback on standard error and code 1, as Python shows it.

    Args:
        home: Local state, CT_HOME.
        *arguments: The command line after `ct`.
        cwd: Working directory; by default the repository.
        environment: Further variables; COLUMNS and NO_COLOR among them, which are taken from nowhere else.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in DISPLAY}
    variables = {**inherited, "CT_HOME": str(home), **(environment or {})}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _process_state(["ct", *arguments], cwd, variables),
    ):
        with _stream(1, "stdout", out), _stream(2, "stderr", err):
            code = _main()
        return Done(code, _text(out), _text(err))


def _main() -> int:
    from kfp_ct.cli.main import main  # as late as the process would

    try:
        main()
    except SystemExit as left:
        return _exit_code(left.code)
    except BaseException as error:
        traceback.print_exception(error)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1


@contextlib.contextmanager
def _stream(number: int, name: str, file: object) -> Iterator[None]:
    """Sends a standard stream into a file: Python's object of it, and what child processes inherit."""
    before = getattr(sys, name)
    before.flush()
    kept = os.dup(number)
    os.dup2(file.fileno(), number)
    captured = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", write_through=True)
    setattr(sys, name, captured)
    try:
        yield
    finally:
        captured.flush()
        setattr(sys, name, before)
        os.dup2(kept, number)
        os.close(kept)


@contextlib.contextmanager
def _process_state(argv: list[str], cwd: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Lends the command its arguments, working directory, variables, import path and signals; then puts all back."""
    before = sys.argv, Path.cwd(), dict(os.environ), list(sys.path)
    hidden = {name for name, module in sys.modules.items() if module is None}
    in_main = threading.current_thread() is threading.main_thread()
    handlers = {each: signal.getsignal(each) for each in SIGNALS} if in_main else {}
    try:
        sys.argv = argv
        os.chdir(cwd)
        _set_variables(variables)
        yield
    finally:
        sys.argv, sys.path[:] = before[0], before[3]
        os.chdir(before[1])
        _set_variables(before[2])
        for name in [name for name, module in sys.modules.items() if module is None and name not in hidden]:
            del sys.modules[name]
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _set_variables(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


def _text(file: object) -> str:
    file.seek(0)
    return file.read().decode()
