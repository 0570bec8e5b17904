"""What a setting may be, in words: read from the JSON schema that its model gives."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Node = Mapping[str, Any]  # a part of a JSON schema
_PLURALS = {
    "a text": "texts",
    "a text that is not empty": "texts that are not empty",
    "a whole number": "whole numbers",
    "a number": "numbers",
}
_TYPES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null"}


class Schema:
    """A model's JSON schema, to be walked along with a value."""

    def __init__(self, document: Node) -> None:
        self.root = document
        self._definitions: Node = document.get("$defs", {})

    def resolved(self, node: Node) -> Node:
        """Returns what a node refers to, with what is said beside the reference."""
        if "$ref" not in node:
            return node
        named = self._definitions[node["$ref"].rpartition("/")[2]]
        return {**named, **{key: value for key, value in node.items() if key != "$ref"}}

    def chosen(self, node: Node, value: Any) -> Node:
        """Returns the alternative of a node that a value is meant to be; the node where that cannot be told."""
        node = self.resolved(node)
        if "discriminator" in node and isinstance(value, Mapping):
            named = node["discriminator"]["mapping"].get(value.get(node["discriminator"]["propertyName"]))
            return self.resolved({"$ref": named}) if named else node
        alternatives = [self.resolved(each) for each in node.get("anyOf", ())]
        wanted = "object" if isinstance(value, Mapping) else "array" if isinstance(value, list | tuple) else ""
        return next((each for each in alternatives if each.get("type") == wanted), node)

    def child(self, node: Node, key: str | int) -> Node:
        """Returns the node of an entry of an object, or of an item of a list; an empty one where none is described."""
        if isinstance(key, int):
            return node.get("items") or {}
        named = node.get("properties", {}).get(key)
        other = node.get("additionalProperties")
        return named if named is not None else other if isinstance(other, Mapping) else {}

    def allowed(self, node: Node) -> str:
        """Says what a node takes, in words that go on after "expected"."""
        node = self.resolved(node)
        if "expected" in node:
            return str(node["expected"])
        for choices in ("anyOf", "oneOf"):
            if choices in node:
                return _joined([self.allowed(each) for each in node[choices]])
        if "const" in node:
            return _text(node["const"])
        if "enum" in node:
            return f"one of {', '.join(map(_text, node['enum']))}"
        return self._of_type(node)

    def _of_type(self, node: Node) -> str:
        kind = node.get("type", "")
        if kind in ("integer", "number"):
            return _TYPES[kind] + bounds(node)
        if kind == "string":
            return "a text that is not empty" if node.get("minLength") else "a text"
        if kind == "array":
            return self._of_list(node)
        if kind == "object":
            return self._of_object(node)
        return _TYPES.get(kind, "any value")

    def _of_list(self, node: Node) -> str:
        items = self.allowed(node["items"]) if node.get("items") else ""
        filled = " that is not empty" if node.get("minItems") else ""
        plural = next((several for one, several in _PLURALS.items() if items == one), "")
        return f"a list{filled} of {plural}" if plural else f"a list{filled}{items and f', each item {items}'}"

    def _of_object(self, node: Node) -> str:
        if named := node.get("properties"):
            return f"an object with {', '.join(named)}"
        other = node.get("additionalProperties")
        return f"an object, each value {self.allowed(other)}" if isinstance(other, Mapping) else "an object"


def bounds(node: Node) -> str:
    """Says the range of a number."""
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    start = f"above {above:g}" if above is not None else "" if low is None else f"from {low:g}"
    end = f"below {below:g}" if below is not None else "" if high is None else f"{high:g}"
    if start and end:
        joint = " and " if above is not None and below is not None else " to "
        return f" {start}{joint}{end}"
    if low is not None:
        return f" of {low:g} or more"
    return f" {start or end}" if start or below is not None else f" of {end} or less" if end else ""


def _joined(alternatives: Sequence[str]) -> str:
    return ", or ".join(dict.fromkeys(alternatives))


def _text(value: Any) -> str:
    if value == "":
        return "'' (empty)"
    return value if isinstance(value, str) else json.dumps(value)
