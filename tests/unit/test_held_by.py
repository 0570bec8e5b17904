"""Each row of a table that ends in "held by" names tests that exist, or says that what it is about is missing."""

import ast
import functools
import re
from pathlib import Path

import pytest

from repository import ROOT

# With how many rows at least.
PAGES = {"kubernetes.md": 20, "from-tfx.md": 40, "serving-protocols.md": 50, "known-cases.md": 60}
_NAMED = re.compile(r"`(?P<file>test_\w+\.py)(?:::(?P<function>test_\w+))?`")


def rows(page: Path) -> list[str]:
    """Returns the rows of the page's tables of which the last column is "held by"."""
    found, inside = [], False
    for line in page.read_text().splitlines():
        if line.endswith("| held by |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(line)
    return found


@functools.cache
def functions(file: str) -> set[str]:
    """Returns the tests of a file, wherever it lies; raises if there is none."""
    (path,) = (ROOT / "tests").rglob(file)
    return {each.name for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)}


def problem(row: str) -> str:
    """Says what is wrong with a row; empty if nothing is."""
    *cells, last = [cell.strip() for cell in row.strip("|").split("|")]
    named = list(_NAMED.finditer(last))
    if not named:
        return "" if last == "–" and "**missing**" in " ".join(cells) else "it names no test"
    for match in named:
        if not list((ROOT / "tests").rglob(match["file"])):
            return f"there is no {match['file']}"
        if match["function"] and match["function"] not in functions(match["file"]):
            return f"{match['file']} has no {match['function']}"
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_every_row_has_its_test_or_the_word_for_missing(page):
    found = rows(ROOT / "docs" / page)
    assert len(found) >= PAGES[page]
    assert {row: problem(row) for row in found if problem(row)} == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("| a | b | `test_held_by.py` |", ""),
        ("| a | b | `test_held_by.py::test_a_row_that_lies_is_noticed` |", ""),
        ("| a | **missing** | – |", ""),
        ("| a | b | – |", "it names no test"),
        ("| a | b | somewhere |", "it names no test"),
        ("| a | b | `test_that_nobody_wrote.py` |", "there is no test_that_nobody_wrote.py"),
        ("| a | b | `test_held_by.py::test_nothing` |", "test_held_by.py has no test_nothing"),
    ],
)
def test_a_row_that_lies_is_noticed(row, said):
    assert problem(row) == said
