"""Reads a build configuration against its official description, Google's own protobuf messages.

https://cloud.google.com/build/docs/build-config-file-schema. Field names may be camelCase or snake_case, as
gcloud takes them. What is read is a plain tree with camelCase names, beside it the line of every part.
"""

import base64
import binascii
import dataclasses
import difflib
import re
from typing import Any

import yaml

from ct.build.problems import Findings

Path = tuple[str | int, ...]

# Fields of the REST reference or of gcloud that the published messages do not have: taken as they are.
_NEWER = {
    "BuildStep": {"results"},
    "BuildOptions": {"rankedMachineSeries", "pubsubTopic", "cluster", "anthosCluster", "dockerDaemon"},
    "PoolOption": {"workerConfig"},
    "Artifacts": {"genericArtifacts", "oci"},
    "MavenArtifact": {"deployFolder"},
}
_KEY = re.compile(r"\s*(?:- +)?[\w.-]+:(?:\s|$)")
_DURATION = re.compile(r"\d{1,12}(\.\d{1,9})?s")
_STRING, _INT, _BOOL, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null"))
_FLOAT, _MERGE = "tag:yaml.org,2002:float", "tag:yaml.org,2002:merge"
_KINDS = {"mapping": "a mapping", "sequence": "a list"}


class _Loader(yaml.CSafeLoader):
    """YAML 1.1 as gcloud and triggers read it: beyond what PyYAML knows, `y` and `n` are booleans, `1e3` a number."""


_Loader.add_implicit_resolver(_BOOL, re.compile(r"[yYnN]\Z"), list("yYnN"))
_Loader.add_implicit_resolver(_FLOAT, re.compile(r"[-+]?\d[\d_]*(?:\.[\d_]*)?[eE][-+]?\d+\Z"), list("-+0123456789"))


@dataclasses.dataclass
class Document:
    """A configuration as read: its tree, the line (from 1) of every part by path, and the text itself."""

    tree: dict[str, Any]
    lines: dict[Path, int]
    text: str = ""

    def line(self, *path: str | int) -> int:
        """Returns the line of a part, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def line_using(self, key: str, *path: str | int) -> int:
        """Returns the line on which a part, which may be a script of many lines, uses a substitution."""
        first = self.line(*path)
        uses = re.compile(rf"(?<!\$)(?:\$\$)*\$(?:\{{#?)?{key}(?![A-Z0-9_])")
        for number, line in enumerate(self.text.split("\n")[first - 1 :], first):
            if uses.search(line):
                return number
        return first


def read(text: str, descriptor: Any, findings: Findings) -> Document:
    """Reads YAML or JSON that describes one protobuf message.

    Args:
        text: The file's content.
        descriptor: Protobuf descriptor of the message.
        findings: Receives unknown fields and values of a wrong type.

    Returns:
        The tree without what was wrong in it.
    """
    document = Document({}, {}, text)
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _prepare(loader, node, findings, set())
    except yaml.YAMLError as error:
        line, message = _no_yaml(error, text)
        findings.error(min(line, max(1, len(text.splitlines()))), message)
        return document
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(node, yaml.MappingNode):
        what = "empty" if node is None else "no mapping"
        findings.error(1, f"the file is {what}\nexpected: fields such as `steps:`")
        return document
    document.tree = _Reader(findings, document.lines).message(node, descriptor, ())
    return document


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
    rest = text.split("\n")[stopped.line :]
    left_open = error.context.startswith("while parsing a flow") and (not rest or _KEY.match(rest[0]))
    if left_open or "end of stream" in what:
        return begun.line + 1, f"this is not YAML: what begins here is not closed by line {stopped.line + 1}"
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


@dataclasses.dataclass(frozen=True)
class _Reader:
    findings: Findings
    lines: dict[Path, int]

    def message(self, node: yaml.Node, descriptor: Any, path: Path) -> dict[str, Any]:
        """Reads a mapping as a message."""
        if node.tag == _NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, f"a mapping with fields of {descriptor.name}")
            return {}
        fields = {field.json_name: field for field in descriptor.fields}
        newer = _NEWER.get(descriptor.name, set())
        tree = {}
        # Of a field that a merge key brings in and the mapping has as well, the mapping's own comes last and counts.
        for key, value in {str(key.value): (key, value) for key, value in node.value}.values():
            if not self._named(key, path):
                continue
            name, line = _camel(key.value), key.start_mark.line + 1
            if name in fields:
                self.lines[(*path, name)] = line
                tree[name] = self._field(value, fields[name], (*path, name))
            elif name in newer:
                self.lines[(*path, name)] = line
            else:
                self.findings.error(line, _unknown(key.value, descriptor, [*fields, *newer], path))
        return {name: value for name, value in tree.items() if value is not None}

    def _field(self, node: yaml.Node, field: Any, path: Path) -> Any:
        if node.tag == _NULL:
            return None
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return self._map(node, field, path)
        if not field.is_repeated:
            return self._value(node, field, path)
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not isinstance(node, yaml.SequenceNode):
            what = f"{dotted(path)} is no list: gcloud takes it for a list of one, a trigger refuses it"
            self.findings.warning(node.start_mark.line + 1, what)
        values = []
        for index, item in enumerate(items):
            self.lines[(*path, index)] = item.start_mark.line + 1
            if item.tag == _NULL:
                self._wrong(item, (*path, index), "a value; this list item is empty")
                continue
            value = self._value(item, field, (*path, index))
            if value is not None:
                values.append(value)
        return values

    def _map(self, node: yaml.Node, field: Any, path: Path) -> dict[str, Any] | None:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, "a mapping of names to values")
            return None
        kind = field.message_type.fields_by_name["value"]
        tree = {}
        for key, value in node.value:
            if not self._named(key, path):
                continue
            name = key.value
            self.lines[(*path, name)] = key.start_mark.line + 1
            tree[name] = "" if value.tag == _NULL else self._value(value, kind, (*path, name))
        return {name: value for name, value in tree.items() if value is not None}

    def _named(self, key: Any, path: Path) -> bool:
        """Whether a name is one; `{{ template }}` without quotes is a mapping that is named by a mapping."""
        if isinstance(key, yaml.ScalarNode):
            return True
        what = f"{dotted(path)} has {_KINDS[key.id]} for a name\nmend: put text with brackets or braces in quotes"
        self.findings.error(key.start_mark.line + 1, what)
        return False

    def _value(self, node: yaml.Node, field: Any, path: Path) -> Any:
        kinds = type(field)
        if field.message_type is not None:
            if field.message_type.full_name in ("google.protobuf.Duration", "google.protobuf.Timestamp"):
                return self._duration(node, path)
            return self.message(node, field.message_type, path)
        if not isinstance(node, yaml.ScalarNode):
            return self._wrong(node, path, "one value")
        if field.enum_type is not None:
            names = [value.name for value in field.enum_type.values]
            if node.value in names or node.tag == _INT:
                return node.value
            return self._wrong(node, path, f"one of {', '.join(names)}{_nearest(node.value, names)}")
        if field.type == kinds.TYPE_BOOL:
            return (
                node.value.lower() in ("true", "yes", "on", "y")
                if node.tag == _BOOL
                else self._wrong(node, path, "true or false")
            )
        if field.type in (kinds.TYPE_STRING, kinds.TYPE_BYTES):
            if field.type == kinds.TYPE_BYTES and not _decodes(node.value):
                self._wrong(node, path, "a ciphertext in base64")
                return node.value
            return (
                node.value
                if node.tag == _STRING
                else self._wrong(node, path, f'a string\nmend: write "{node.value}" in quotes')
            )
        if re.fullmatch(r"-?\d{1,18}", node.value):
            return int(node.value)
        return self._wrong(node, path, "a whole number")

    def _duration(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING and _DURATION.fullmatch(node.value):
            return str(node.value)
        return self._wrong(node, path, "seconds with an s, such as 1200s")

    def _wrong(self, node: Any, path: Path, expected: str) -> Any:
        found = repr(node.value) if isinstance(node, yaml.ScalarNode) else _KINDS[node.id]
        if node.tag.startswith("!"):
            found, expected = f"of the type {node.tag}", "a value without a tag"
        elif isinstance(node, yaml.MappingNode) and any(not isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            expected += "\nmend: put text with braces in quotes"
        self.findings.error(node.start_mark.line + 1, f"{dotted(path)} is {found}\nexpected: {expected}")
        return None


def dotted(path: Path) -> str:
    """Writes a path as people do: steps[2].waitFor[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _decodes(value: str) -> bool:
    """Whether gcloud can read a text as base64; it passes over characters that are no part of that."""
    try:
        base64.urlsafe_b64decode(value.encode() + b"=" * (4 - len(value) % 4))
    except binascii.Error:
        return False
    return True


def _camel(name: str) -> str:
    """Turns snake_case into camelCase as gcloud does; a map's keys are never passed through here."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest) if first else name


def _unknown(name: str, descriptor: Any, fields: list[str], path: Path) -> str:
    where = f" in {dotted(path)}" if path else ""
    return f"there is no field {name}{where}\nexpected: a field of {descriptor.name}{_nearest(_camel(name), fields)}"


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
