"""Evaluates expressions over `__file__` without running them: which files does a module read beside itself?

`Path(__file__).parent / "vocabulary.txt"` is one file. `_HERE / name` can be any file of that folder, so the folder is
the answer. Where an expression is not understood, the largest part of it that is counts; of `__file__` itself nothing
is known, and that is the module's folder with everything below it.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

_SAME = ("resolve", "absolute", "expanduser", "as_posix")
_PATH_TYPES = ("Path", "PurePath", "PosixPath", "PurePosixPath")
_NAMES = ("name", "stem", "suffix")  # of a file: nothing is read
_OS_SAME = ("abspath", "realpath", "normpath", "expanduser", "fspath")


def paths_read(tree: ast.Module, file: Path) -> list[Path]:
    """Returns the files and folders that a module finds by `__file__`.

    Args:
        tree: The module.
        file: Where it is.
    """
    evaluator = _Evaluator(file, _private_constants(tree))
    return sorted(set(evaluator.found(tree)))


def _private_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Names a module gives a value once and keeps to itself, such as `_HERE = Path(__file__).parent`."""
    stored = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    stored += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name: value for name, value in values.items() if name.startswith("_") and stored.count(name) == 1}


class _Evaluator:
    """Evaluates the expressions of one module."""

    def __init__(self, file: Path, constants: dict[str, ast.expr]) -> None:
        self._file = file
        self._constants = constants

    def found(self, node: ast.AST) -> Iterator[Path]:
        """Yields what the largest understood expressions below a node name."""
        path = self._evaluate(node) if isinstance(node, ast.expr) else None
        if path is not None:
            # `__file__` alone, handed to something unknown, may lead to any file of the folder.
            yield self._file.parent if path == self._file else path
            return
        if isinstance(node, ast.Attribute) and node.attr in _NAMES:
            return
        for child in ast.iter_child_nodes(node):
            if not self._defines_constant(child):
                yield from self.found(child)

    def _defines_constant(self, node: ast.AST) -> bool:
        """Whether a statement only gives a private name its value: what counts is where the name is used."""
        return isinstance(node, ast.Assign) and node.value in self._constants.values()

    def _evaluate(self, node: ast.AST) -> Path | None:
        if isinstance(node, ast.Name):
            if node.id == "__file__":
                return self._file
            return self._evaluate(self._constants[node.id]) if node.id in self._constants else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            return self._joined(self._evaluate(node.left), [node.right])
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            value = self._evaluate(node.value)
            return value.parent if value else None
        if isinstance(node, ast.Subscript):
            return self._ancestor(node)
        return self._call(node) if isinstance(node, ast.Call) else None

    def _ancestor(self, node: ast.Subscript) -> Path | None:
        """Evaluates `path.parents[2]`."""
        if not isinstance(node.value, ast.Attribute) or node.value.attr != "parents":
            return None
        value = self._evaluate(node.value.value)
        if value is None or not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, int):
            return None
        return value.parents[node.slice.value] if node.slice.value < len(value.parents) else Path(value.anchor)

    def _call(self, node: ast.Call) -> Path | None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if node.keywords:
            return None
        if name in (*_PATH_TYPES, *_OS_SAME, "dirname", "join"):
            return self._function(name, node.args)
        if not isinstance(node.func, ast.Attribute):
            return None
        value = self._evaluate(node.func.value)
        if name in _SAME and not node.args:
            return value.resolve() if value and name == "resolve" else value
        if name == "joinpath":
            return self._joined(value, node.args)
        if name == "with_name" and value and (named := _texts(node.args)):
            return value.with_name(named[0])
        return None

    def _function(self, name: str, arguments: list[ast.expr]) -> Path | None:
        """Evaluates Path(…) and the functions of os.path."""
        value = self._evaluate(arguments[0]) if arguments else None
        if name == "dirname":
            return value.parent if value else None
        if name == "realpath":
            return value.resolve() if value else None
        return self._joined(value, arguments[1:])

    def _joined(self, value: Path | None, parts: list[ast.expr]) -> Path | None:
        texts = _texts(parts)
        if value is None or texts is None:
            return None
        return Path(os.path.normpath(value.joinpath(*texts))) if texts else value


def _texts(nodes: list[ast.expr]) -> list[str] | None:
    """Returns the values of literal strings; None if one is something else."""
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return texts if len(texts) == len(nodes) else None
