"""How commands print for people: tables and colours. It imports Rich, so commands import it where they print."""

import os
import sys

from rich.console import Console

from kfp_ct.cli import exit_codes, output

UNKNOWN_WIDTH = 120  # of a file or a pipe, where COLUMNS does not say


class QuietConsole(Console):
    """A console whose reader may leave: the command ends without a word."""

    def on_broken_pipe(self) -> None:
        """Ends the command as a signal for a closed pipe would."""
        output.discard_output()
        raise SystemExit(exit_codes.CLOSED_PIPE)


def open_console(stderr: bool = False, width: int = UNKNOWN_WIDTH) -> Console:
    """Returns where formatted text goes.

    Args:
        stderr: Write to standard error: standard output carries JSON.
        width: Columns where the output is no terminal and COLUMNS is not set.
    """
    file = sys.stderr if stderr else sys.stdout
    known = file.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return QuietConsole(file=file, highlight=False, width=None if known else width)
