"""Modules of the user's, looked at without importing them: the file, and what it defines."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from kfp_ct.base.setting_problems import nearest
from kfp_ct.project.environments import component_set

_EXPECTED = "expected an import path such as pipelines.flights.model, or a .py file"


def find(root: Path, name: str) -> Path | None:
    """Returns the file of a module below a folder; None where it has none there."""
    path = root.joinpath(*name.split("."))
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((each for each in candidates if each.is_file()), None)


def missing(root: Path, name: str) -> str | None:
    """Returns what to name instead of a module that is certainly not there; None if it is, or may be installed."""
    if not all(part.isidentifier() for part in name.split(".")):
        return _EXPECTED
    if find(root, name):
        return None
    first, *_ = name.split(".")
    own = _own(root)
    if first not in own and (_is_installed(first) or not nearest(first, own)):
        return None
    return nearest(name, _modules(root, own)) or _EXPECTED


def lacks(file: Path, name: str, kind: str = "function") -> Iterator[str]:
    """Says why a module has no such function or class; nothing where it has, or where that cannot be told."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        if _reads_as_components_do():
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            yield f"{file.name}{line} is no Python: {getattr(error, 'msg', error)}"
        return
    names = set(_defined(tree.body))
    if name not in names and not names & {"*", "__getattr__"}:
        near = nearest(name, sorted(names))
        form = f"def {name}(...)" if kind == "function" else f"class {name}(...)"
        yield f"it has no {kind} {name}; expected `{form}` at its top level" + (near and f"; {near}")


def _reads_as_components_do() -> bool:
    """Whether this Python knows the syntax of the component environment's, which may be newer; 3.12 has the last."""
    return sys.version_info >= (3, 12) or component_set()[1] == "3.11"


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    """Yields the names that statements of a module's top level may give a value."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield each.name
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                yield each.id
            elif isinstance(each, ast.alias):
                yield each.asname or each.name


def _own(root: Path) -> list[str]:
    """Returns the packages and modules that a repository has at its top."""
    folders = [each.name for each in root.iterdir() if each.is_dir() and any(each.glob("*.py"))]
    return sorted({*folders, *(each.stem for each in root.glob("*.py"))})


def _modules(root: Path, packages: list[str]) -> list[str]:
    files = [file for each in packages if each.isidentifier() for file in (root / each).rglob("*.py")]
    names = [".".join(file.relative_to(root).with_suffix("").parts) for file in files]
    return [name for name in names if not name.endswith("__init__")]


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
