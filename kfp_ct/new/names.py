"""Names of what is made: words that Python, KFP and the file system all take, and that nothing else has."""

import keyword
import re
from pathlib import Path

from kfp_ct.base.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check(name: str, longest: int, kind: str, example: str) -> None:
    """Refuses what cannot be the name of a module.

    Raises:
        UsageError: It has other letters, is longer than `longest`, or is a word of Python.
    """
    if not _NAME.fullmatch(name) or len(name) > longest or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot be a {kind}'s name\n"
            f"expected: lower-case letters, digits and single underscores, {longest} at most, such as {example}"
        )


def check_free(root: Path, name: str, *places: Path) -> None:
    """Refuses a name that is taken: by one of `places`, or by a test, whose file names are unique.

    Raises:
        UsageError: Says what has it.
    """
    tests = sorted((root / "tests").rglob(f"test_{name}.py"))
    if taken := [path for path in (*places, *tests) if path.exists()]:
        raise UsageError(f"the name {name!r} is taken: there is {taken[0].relative_to(root)}\nfix: choose another name")
