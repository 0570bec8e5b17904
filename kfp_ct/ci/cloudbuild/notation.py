"""Reads YAML as gcloud and triggers do, and says where a text is none."""

import re
from typing import Any

import yaml

from kfp_ct.ci.cloudbuild.problems import Findings

_BOOL, _FLOAT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "merge"))
_WORDS = re.compile(r"\s*[^\s#]")
_KEY = re.compile(r"\s*(?:- +)?[\w.-]+:(?:\s|$)")


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as gcloud and triggers read it: beyond what PyYAML knows, `y` and `n` are booleans, `1e3` a number."""


_Loader.add_implicit_resolver(_BOOL, re.compile(r"[yYnN]\Z"), list("yYnN"))
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?\d[\d_]*(?:\.[\d_]*)?[eE][-+]?\d+\Z"), list("-+0123456789"))


def parse(text: str, findings: Findings) -> yaml.MappingNode | None:
    """Returns a text's one mapping, merge keys resolved; None and an error if it has none."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _prepare(loader, node, findings, set())
    except yaml.YAMLError as error:
        line, message = _no_yaml(error, text)
        findings.error(min(line, max(1, len(text.splitlines()))), message)
        return None
    finally:
        if loader is not None:
            loader.dispose()
    if isinstance(node, yaml.MappingNode):
        if "\t" in text:
            _tabs(text, findings)
        return node
    what = "empty" if node is None else "no mapping"
    findings.error(1, f"the file is {what}\nexpected: fields such as `steps:`")
    return None


def _tabs(text: str, findings: Findings) -> None:
    """Notes a tab between words: gcloud's parser, as PyYAML's in Python, takes none, that of triggers does."""
    try:
        for _ in yaml.scan(text):
            pass
    except yaml.scanner.ScannerError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        findings.warning(line, "a tab stands between words\nfix: write spaces, gcloud takes nothing else", by="gcloud")


def _no_yaml(error: Any, text: str) -> tuple[int, str]:
    """Says what is wrong where the mistake was made, which is not always where the parser stopped."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.encode()[: error.position].count(b"\n") + 1
        return line, f"this is not YAML: {error.reason}"
    what = getattr(error, "problem", None) or str(error)
    stopped, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if stopped is None:
        return 1, f"this is not YAML: {what}"
    if what == "but found another document":
        return stopped.line + 1, "a second document begins here\nexpected: one configuration in a file"
    if what.startswith("mapping values") and stopped.line:
        hint = f"where the text of line {stopped.line} goes on here, that line may be the mistake"
        return stopped.line + 1, f"this is not YAML: {what}\nexpected: `name: value` once in a line; {hint}"
    if begun is None or begun.line == stopped.line:
        return stopped.line + 1, f"this is not YAML: {what}"
    lines = text.split("\n")
    before, rest = lines[: stopped.line], lines[stopped.line :]
    left_open = error.context.startswith("while parsing a flow") and (not rest or _KEY.match(rest[0]))
    if left_open or "end of stream" in what:
        return begun.line + 1, f"this is not YAML: what begins here is not closed by line {stopped.line + 1}"
    if "','" in what and rest and not rest[0][: stopped.column].strip():
        last = next(number for number in range(stopped.line, 0, -1) if _WORDS.match(before[number - 1]))
        return last, f"this is not YAML: there is no comma between the end of this line and line {stopped.line + 1}"
    if what == "could not find expected ':'":
        return begun.line + 1, f"this is not YAML: {what}"
    return stopped.line + 1, f"this is not YAML: {what}, {error.context} that begins on line {begun.line + 1}"


def _prepare(loader: Any, node: yaml.Node, findings: Findings, seen: set[int]) -> None:
    """Resolves merge keys, and takes out what a mapping has a second time."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        pairs = []
        for key, value in node.value:
            named = isinstance(key, yaml.ScalarNode) and key.tag != _MERGE
            if named and key.value in names:
                what = f"the field {key.value} is there twice: gcloud takes the first and says nothing"
                findings.warning(key.start_mark.line + 1, what)
                continue
            if named:
                names.add(key.value)
            pairs.append((key, value))
            children.append(value)
        node.value = pairs
        loader.flatten_mapping(node)
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        _prepare(loader, child, findings, seen)
