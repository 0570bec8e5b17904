"""What an exception says in one line, and where in its author's own code it began."""

import os
import re
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
# Lines that libraries put around what is wrong: TensorFlow's graph errors, AutoGraph's and Keras's tracebacks.
_AROUND = re.compile(
    r"Graph execution error|Detected at node|in user code|Traceback \(|File \"|\[\[|<stack trace|Stack trace|"
    r"Exception encountered when calling|Arguments received|Original stack trace|\d+ root error"
)
_PREFIX, _SUFFIX = re.compile(r"^\{\{function_node .*?\}\} "), re.compile(r" \[Op:\w*\].*$")
_NAMED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception): (.+)")
# A message of half a page is no line.
_LONGEST = 500
_LIBRARY = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))


def first_line(error: BaseException) -> str:
    """Returns what an exception says is wrong, without what its library puts around: its type's name if nothing."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in _STYLE.sub("", text).splitlines()]
    said = [line for line in lines if line and not _AROUND.match(line)]
    if lines and lines[0].startswith("in user code"):
        # A traceback inside the message ends with what it was raised for.
        said = [match[1] for line in lines if (match := _NAMED.match(line))][-1:]
    elif lines and lines[0].startswith("Graph execution error"):
        said = said[-1:]
    chosen = _SUFFIX.sub("", _PREFIX.sub("", said[0])) if said else type(error).__name__
    return chosen if len(chosen) <= _LONGEST else f"{chosen[:_LONGEST]}…"


def described(error: BaseException) -> str:
    """Returns an exception's type and what it says: `ValueError: no such unit`."""
    kind, text = type(error).__name__, first_line(error)
    return kind if text == kind else f"{kind}: {text}"


def own_place(error: BaseException, files: Sequence[str] = ()) -> str:
    """Returns the deepest place in code that is neither Python's, nor a package's, nor this library's.

    Args:
        error: As it was caught.
        files: Files that count whatever they are.

    Returns:
        `FILE, line N: code`; empty if there is none.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files or is_own(frame.filename)]
    return f"{own[-1].filename}, line {own[-1].lineno}: {own[-1].line}" if own else ""


def is_own(filename: str) -> bool:
    """Whether a file is somebody's own code: a real file outside of Python's, packages' and this library's folders."""
    path = os.path.abspath(filename)  # noqa: PTH100 - a link to a folder of this library stays one
    return not filename.startswith("<") and not path.startswith(_LIBRARY) and "site-packages" not in path
