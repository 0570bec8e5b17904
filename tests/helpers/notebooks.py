"""Runs a notebook's cells of code as Jupyter does, one after the other in one namespace, without Jupyter."""

import ast
import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a cell printed, and the value of its last expression."""

    printed: str
    value: Any = None


def run(path: Path) -> list[Ran]:
    """Runs all cells; an error of one names it."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    space: dict[str, Any] = {"__name__": "__main__"}
    return [_run("".join(cell["source"]), f"{path.name} {cell['id']}", space) for cell in cells]


def _run(source: str, name: str, space: dict[str, Any]) -> Ran:
    tree = ast.parse(source, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), space)
        value = eval(compile(ast.Expression(last.value), name, "eval"), space) if last else None
    return Ran(printed.getvalue(), value)
