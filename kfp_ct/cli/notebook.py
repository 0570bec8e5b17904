"""Makes a notebook of a page: `python -m kfp_ct.cli.notebook docs/notebook.md` writes notebook.ipynb (`make docs`).

A block of Python is a cell of code; what lies between two is one of Markdown.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def of_page(text: str) -> str:
    """Returns the notebook of a page, without outputs."""
    document = {"cells": list(_cells(text)), "metadata": _KERNEL, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cells(text: str) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(_BLOCK.split(text)):
        if not part.strip():
            continue
        source = part.strip().splitlines(keepends=True)
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": source}
        code: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
        yield {**(code if number % 2 else {"cell_type": "markdown"}), **cell}


if __name__ == "__main__":
    source = Path(sys.argv[1])
    source.with_suffix(".ipynb").write_text(of_page(source.read_text()))
