"""Reads a build configuration against its official description, Google's own protobuf messages.

https://cloud.google.com/build/docs/build-config-file-schema. Field names may be camelCase or snake_case, as
gcloud takes them. What is read is a plain tree with camelCase names, beside it the line of every part.
"""

import dataclasses
import difflib
import re
from typing import Any

import yaml

from ct.build.problems import Findings

Path = tuple[str | int, ...]

# Fields of the REST reference that the published messages do not have yet: taken as they are.
_NEWER = {
    "BuildStep": {"results"},
    "BuildOptions": {"rankedMachineSeries"},
    "Artifacts": {"genericArtifacts", "oci"},
}
_DURATION = re.compile(r"\d{1,12}(\.\d{1,9})?s")
_STRING, _INT, _BOOL, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null"))
_MERGE = "tag:yaml.org,2002:merge"


@dataclasses.dataclass
class Document:
    """A configuration as read: its tree, and the line (from 1) of every part by path."""

    tree: dict[str, Any]
    lines: dict[Path, int]

    def line(self, *path: str | int) -> int:
        """Returns the line of a part, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, descriptor: Any, findings: Findings) -> Document:
    """Reads YAML or JSON that describes one protobuf message.

    Args:
        text: The file's content.
        descriptor: Protobuf descriptor of the message.
        findings: Receives unknown fields and values of a wrong type.

    Returns:
        The tree without what was wrong in it.
    """
    document = Document({}, {})
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _prepare(loader, node, findings, set())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        findings.error(mark.line + 1 if mark else 1, f"this is not YAML: {what}")
        return document
    finally:
        loader.dispose()
    if not isinstance(node, yaml.MappingNode):
        findings.error(1, "the file is no mapping\nexpected: fields such as `steps:`")
        return document
    document.tree = _Reader(findings, document.lines).message(node, descriptor, ())
    return document


def _prepare(loader: Any, node: yaml.Node, findings: Findings, seen: set[int]) -> None:
    """Resolves merge keys and finds keys that are there twice."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in names:
                    findings.error(key.start_mark.line + 1, f"the field {key.value} is there twice")
                names.add(key.value)
            children.append(value)
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
        for key, value in node.value:
            name = _camel(str(key.value))
            line = key.start_mark.line + 1
            if name in fields:
                self.lines[(*path, name)] = line
                tree[name] = self._field(value, fields[name], (*path, name))
            elif name in newer:
                self.lines[(*path, name)] = line
            else:
                self.findings.error(line, _unknown(str(key.value), descriptor, [*fields, *newer], path))
        return {name: value for name, value in tree.items() if value is not None}

    def _field(self, node: yaml.Node, field: Any, path: Path) -> Any:
        if node.tag == _NULL:
            return None
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return self._map(node, field, path)
        if not field.is_repeated:
            return self._value(node, field, path)
        # gcloud takes one value for a list of one.
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
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
            name = str(key.value)
            self.lines[(*path, name)] = key.start_mark.line + 1
            tree[name] = "" if value.tag == _NULL else self._value(value, kind, (*path, name))
        return {name: value for name, value in tree.items() if value is not None}

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
                node.value.lower() in ("true", "yes", "on")
                if node.tag == _BOOL
                else self._wrong(node, path, "true or false")
            )
        if field.type in (kinds.TYPE_STRING, kinds.TYPE_BYTES):
            return (
                node.value
                if node.tag == _STRING
                else self._wrong(node, path, f'a string\nmend: write "{node.value}" in quotes')
            )
        if re.fullmatch(r"-?\d+", node.value):
            return int(node.value)
        return self._wrong(node, path, "a whole number")

    def _duration(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING and _DURATION.fullmatch(node.value):
            return str(node.value)
        return self._wrong(node, path, "seconds with an s, such as 1200s")

    def _wrong(self, node: Any, path: Path, expected: str) -> Any:
        found = (
            repr(node.value)
            if isinstance(node, yaml.ScalarNode)
            else {"mapping": "a mapping", "sequence": "a list"}[node.id]
        )
        self.findings.error(node.start_mark.line + 1, f"{dotted(path)} is {found}\nexpected: {expected}")
        return None


def dotted(path: Path) -> str:
    """Writes a path as people do: steps[2].waitFor[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


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
