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

from kfp_ct.ci.cloudbuild import notation
from kfp_ct.ci.cloudbuild.problems import Findings

Path = tuple[str | int, ...]

# Fields of the REST reference or of gcloud that the published messages do not have: taken as they are.
_NEWER = {
    "BuildStep": {"results"},
    "BuildOptions": {"rankedMachineSeries", "pubsubTopic", "cluster", "anthosCluster", "dockerDaemon"},
    "PoolOption": {"workerConfig"},
    "Artifacts": {"genericArtifacts", "oci"},
    "MavenArtifact": {"deployFolder"},
}
_DURATION = re.compile(r"\d{1,12}(\.\d{1,9})?s")
_TIME = re.compile(
    r"(?:(?P<hours>\d{1,4}) ?h(?:ours?)? ?)?(?:(?P<minutes>\d{1,6}) ?m(?:in(?:utes?)?)? ?)?"
    r"(?:(?P<seconds>\d{1,8}) ?(?:s(?:ec(?:onds?)?)?)?)?"
)
_STRING, _INT, _BOOL, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null"))
_KINDS = {"mapping": "a mapping", "sequence": "a list"}


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
    node = notation.parse(text, findings)
    if node is not None:
        document.tree = _Reader(findings, document.lines, descriptor).message(node, descriptor, ())
    return document


@dataclasses.dataclass(frozen=True)
class _Reader:
    findings: Findings
    lines: dict[Path, int]
    root: Any

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
                self.findings.error(line, _unknown(key.value, descriptor, [*fields, *newer], path, self.root))
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
            self.findings.warning(node.start_mark.line + 1, what, by="a trigger")
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
        what = f"{dotted(path)} has {_KINDS[key.id]} for a name\nfix: put text with brackets or braces in quotes"
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
                else self._wrong(node, path, f'a string\nfix: write "{node.value}" in quotes')
            )
        if re.fullmatch(r"-?\d{1,18}", node.value):
            return int(node.value)
        return self._wrong(node, path, "a whole number")

    def _duration(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING and _DURATION.fullmatch(node.value):
            return str(node.value)
        total = _seconds(node.value) if isinstance(node, yaml.ScalarNode) else 0.0
        expected = f"seconds with an s\nfix: write {total:g}s" if total else "seconds with an s, such as 1200s"
        return self._wrong(node, path, expected)

    def _wrong(self, node: Any, path: Path, expected: str) -> Any:
        found = repr(node.value) if isinstance(node, yaml.ScalarNode) else _KINDS[node.id]
        if node.tag.startswith("!"):
            found, expected = f"of the type {node.tag}", "a value without a tag"
        elif isinstance(node, yaml.MappingNode) and any(not isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            expected += "\nfix: put text with braces in quotes"
        self.findings.error(node.start_mark.line + 1, f"{dotted(path)} is {found}\nexpected: {expected}")
        return None


def dotted(path: Path) -> str:
    """Writes a path as people do: steps[2].waitFor[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _seconds(text: str) -> float:
    """Reads what people write for a time: 1200, 20m, 1h30m, 20 min; 0 for what is none."""
    if not (match := _TIME.fullmatch(text.strip())):
        return 0.0
    hours, minutes, rest = (float(match[each] or 0) for each in ("hours", "minutes", "seconds"))
    return 3600 * hours + 60 * minutes + rest


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


def _unknown(name: str, descriptor: Any, fields: list[str], path: Path, root: Any) -> str:
    where = f" in {dotted(path)}" if path else ""
    camel = _camel(name)
    hint = _nearest(camel, fields)
    if not hint:  # it may be right, one level off
        inside = [field.json_name for field in descriptor.fields if camel in _fields(field.message_type)]
        homes = [f"in {each}" for each in inside if each in ("steps", "options", "artifacts", "availableSecrets")]
        homes += ["of the build itself, not indented"] if path and camel in _fields(root) else []
        hint = f"; {camel} is a field {' or '.join(homes)}" if homes else ""
    return f"there is no field {name}{where}\nexpected: a field of {descriptor.name}{hint}"


def _fields(descriptor: Any) -> set[str]:
    return {field.json_name for field in descriptor.fields} if descriptor is not None else set()


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
