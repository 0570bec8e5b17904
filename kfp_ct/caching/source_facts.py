"""What a Python file says about other files, read off its syntax tree: nothing is imported or run."""

import ast
import collections
import dataclasses
import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.caching.file_expressions import paths_read

# The nodes of a module by their type: each question is about few of them, and a module has thousands.
_Nodes = Mapping[type[ast.AST], Sequence[Any]]
# Sources whose answers a process keeps: as many as the library and a large repository have.
_REMEMBERED = 2_000

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_AFTER_M = re.compile(r"(?:^|\s)-m\s+([A-Za-z_][\w.]*)")
_PATH = re.compile(r"[^\s\0<>:|?*\"'{}]{2,200}")
_ENCODING = re.compile(rb"#.*coding[:=]")
# Calls with a literal name are imports like any other; with anything else nobody can say what is imported.
_LOADERS = ("import_module", "__import__")
_BY_VALUE = ("spec_from_file_location", "exec_module", "exec", "eval")
# Names that mean this only where the module that has them is imported.
_BY_VALUE_OF = {
    "runpy": ("run_module", "run_path"), "pkgutil": ("walk_packages", "iter_modules"), "imp": ("load_source",)
}  # fmt: skip
_RENDERERS = ("render", "environment", "get_template", "select_template", "from_string")
_PATH_CHANGES = ("append", "insert", "extend")
_PACKAGE_DATA = (
    "PackageLoader", "__path__", "__spec__", "resources", "pkgutil", "importlib_resources", "pkg_resources"
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Import:
    """One import: `from ..a import b` is level 2, module "a", names ("b",); `import a.b` has no names."""

    level: int
    module: str
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What one file says.

    Attributes:
        imports: Imports, those inside functions too, and modules that it imports by a literal name.
        mentions: Strings that look like a module's name: what it may start with `python -m` or hand to a loader.
        literals: Strings that look like the path of a file.
        files: Files and folders that it finds by `__file__`.
        package_data: Whether it reads files of packages by the package's name.
        unknown: Whether it imports what only running it would tell.
        renders_unknown: Whether it renders templates by names that only running it would tell.
    """

    imports: tuple[Import, ...] = ()
    mentions: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    package_data: bool = False
    unknown: bool = False
    renders_unknown: bool = False

    def to_json(self) -> dict[str, Any]:
        """Returns the facts as JSON can hold them."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Facts":
        """Returns facts that `to_json` wrote."""
        imports = tuple(Import(each["level"], each["module"], tuple(each["names"])) for each in value["imports"])
        lists = {name: tuple(value[name]) for name in ("mentions", "literals", "files")}
        return Facts(**{**value, **lists, "imports": imports})


def read_facts(text: str, file: Path) -> Facts:
    """Reads a Python file; one that cannot be parsed imports what nobody knows.

    Args:
        text: Its source.
        file: Where it is, which `__file__` starts from.
    """
    return _read(text, file if "__file__" in text else None)


@functools.lru_cache(_REMEMBERED)
def _read(text: str, file: Path | None) -> Facts:
    try:
        nodes = _nodes(text)
    except (SyntaxError, ValueError):
        return Facts(unknown=True)
    strings = list(_strings(nodes))
    return Facts(
        imports=tuple(dict.fromkeys(_imports(nodes))),
        mentions=tuple(sorted({name for each in strings for name in _module_names(each)} | set(_started(nodes)))),
        literals=tuple(sorted({each for each in strings if _looks_like_path(each)})),
        files=tuple(str(path) for path in paths_read(nodes[ast.Module][0], file)) if file else (),
        package_data=_reads_package_data(nodes),
        unknown=_imports_unknown(nodes),
        renders_unknown=_renders_unknown(nodes),
    )


@functools.lru_cache(_REMEMBERED)
def code_digest(source: bytes) -> str:
    """Returns a hash of a Python file's code: comments and empty lines do not count, everything else does."""
    return hashlib.sha256(_without_comments(source)).hexdigest()


def _without_comments(source: bytes) -> bytes:
    try:
        nodes = _nodes(source.decode())
    except (SyntaxError, ValueError):
        return source
    lines, spans = source.splitlines(keepends=True), _strings_by_line(nodes)
    for number, line in enumerate(lines):
        inside = spans.get(number + 1, ())
        start = next((at for at in _signs(line) if not any(first <= at < last for first, last in inside)), -1)
        if start >= 0 and not _ENCODING.match(line[start:]):
            lines[number] = line = line[:start].rstrip() + b"\n"
        # A line that begins inside a string is part of it.
        if not line.strip() and not any(first == 0 for first, _ in inside):
            lines[number] = b""
    return b"".join(lines)


def _signs(line: bytes) -> Iterator[int]:
    at = line.find(b"#")
    while at >= 0:
        yield at
        at = line.find(b"#", at + 1)


def _strings_by_line(nodes: _Nodes) -> Mapping[int, list[tuple[int, float]]]:
    """Returns which columns of which lines are within strings; between strings that follow each other all counts."""
    spans: dict[int, list[tuple[int, float]]] = collections.defaultdict(list)
    constants = (node for node in nodes[ast.Constant] if isinstance(node.value, str | bytes))
    for node in (*constants, *nodes[ast.JoinedStr], *nodes.get(getattr(ast, "TemplateStr", ast.Constant), ())):
        for number in range(node.lineno, node.end_lineno + 1):
            first = node.col_offset if number == node.lineno else 0
            spans[number].append((first, node.end_col_offset if number == node.end_lineno else math.inf))
    return spans


# The digest of a file and its facts are asked for one after the other.
@functools.lru_cache(1)
def _nodes(text: str) -> _Nodes:
    return _by_type(ast.parse(text))


def _by_type(tree: ast.Module) -> _Nodes:
    found: dict[type[ast.AST], list[ast.AST]] = collections.defaultdict(list)
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        found[type(node)].append(node)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                waiting += [each for each in reversed(value) if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                waiting.append(value)
    return found


def _imports(nodes: _Nodes) -> Iterator[Import]:
    for node in nodes[ast.Import]:
        yield from (Import(0, alias.name, ()) for alias in node.names)
    for node in nodes[ast.ImportFrom]:
        yield Import(node.level, node.module or "", tuple(alias.name for alias in node.names))
    for node in nodes[ast.Call]:
        if _called(node) in _LOADERS and (literal := _literal(node)):
            yield Import(0, literal, ())


def _strings(nodes: _Nodes) -> Iterator[str]:
    """Yields the literal strings of a module but for its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for kind in documented
        for node in nodes[kind]
        if node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes[ast.Constant]:
        if isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _module_names(text: str) -> Iterator[str]:
    if _DOTTED.fullmatch(text):
        yield text
    yield from _AFTER_M.findall(text)


def _started(nodes: _Nodes) -> Iterator[str]:
    """Yields what stands after "-m" in lists such as [python, "-m", "package"]."""
    for node in (*nodes[ast.List], *nodes[ast.Tuple]):
        texts = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
        yield from (str(after) for mark, after in itertools.pairwise(texts) if mark == "-m" and after)


def _looks_like_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) and ("/" in text or "." in text.strip(".")) and not text.startswith("//")


def _reads_package_data(nodes: _Nodes) -> bool:
    named = any(_name(node) in _PACKAGE_DATA for node in _named(nodes))
    return named or any((node.module or "").split(".")[-1] in _PACKAGE_DATA for node in nodes[ast.ImportFrom])


def _imports_unknown(nodes: _Nodes) -> bool:
    """Whether a module imports what only running it would tell, or changes where modules are looked for."""
    literal = {id(node.func) for node in nodes[ast.Call] if _called(node) in _LOADERS and _literal(node)}
    imported = {each.module for each in _imports(nodes)}
    loaders = {*_LOADERS, *_BY_VALUE, *(name for home in imported for name in _BY_VALUE_OF.get(home, ()))}
    # A variable of that name is another thing.
    loaders -= {node.id for node in nodes[ast.Name] if isinstance(node.ctx, ast.Store)}
    return (
        any(_name(node) in loaders and id(node) not in literal and _is_looked_up(node) for node in _named(nodes))
        or any(each.asname and each.name in loaders for node in nodes[ast.ImportFrom] for each in node.names)
        or any(_changes_sys_path(node) for kind in (ast.Call, ast.Assign, ast.AugAssign) for node in nodes[kind])
    )


def _named(nodes: _Nodes) -> Iterator[ast.Attribute | ast.Name]:
    yield from nodes[ast.Attribute]
    yield from nodes[ast.Name]


def _is_looked_up(node: ast.AST) -> bool:
    """Whether a name is one that is not a method of something else: `frame.eval(…)` is none of Python's own."""
    return isinstance(node, ast.Name) or _name(node) not in ("exec", "eval")


def _renders_unknown(nodes: _Nodes) -> bool:
    literal = {id(node.func) for node in nodes[ast.Call] if _literal(node)}
    return any(_name(node) in _RENDERERS and id(node) not in literal for node in _named(nodes))


def _changes_sys_path(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _called(node) in _PATH_CHANGES and _is_sys_path(getattr(node.func, "value", None))
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(_is_sys_path(each.value if isinstance(each, ast.Subscript) else each) for each in targets)
    return False


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _called(node: ast.Call) -> str:
    return _name(node.func)


def _literal(node: ast.Call) -> str | None:
    """Returns the literal string that something is called with; a relative name needs a package, which is unknown."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
        return first.value
    return None


def _is_sys_path(node: ast.AST | None) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("path", "meta_path", "path_hooks")
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    )
