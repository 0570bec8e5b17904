"""A TFX pipeline as `inspection.py` prints it: nodes, what they were given, and where their inputs come from."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import UsageError

_FIX = "fix: make it by `python kfp_ct/new/from_tfx/inspection.py PIPELINE.py`, where tfx is installed"


@dataclasses.dataclass(frozen=True)
class Node:
    """A component, resolver or importer.

    Attributes:
        id: Its id in the pipeline.
        kind: Its class, without the module.
        bases: Names of the classes it is derived from, its own first.
        executor: Import path of the class that does its work.
        given: Its execution properties; texts of JSON are read.
        inputs: Input to where it comes from: producer, key and type of each channel.
        conditions: Conditions that it runs under.
        contexts: Further surroundings, such as ForEach.
    """

    id: str
    kind: str
    bases: tuple[str, ...]
    executor: str
    given: Mapping[str, Any]
    inputs: Mapping[str, list[dict[str, str]]]
    conditions: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()

    def producers(self, name: str) -> list[str]:
        """Returns the ids of the nodes that an input comes from."""
        return [channel["producer"] for channel in self.inputs.get(name, []) if channel["producer"]]

    def unknown(self, name: str) -> bool:
        """Whether a value is known in a run only."""
        value = self.given.get(name)
        return isinstance(value, dict) and "placeholder" in value


@dataclasses.dataclass(frozen=True)
class ConfigFunction:
    """A function without parameters that returned an EvalConfig when the pipeline was made: which, and its file."""

    config: Mapping[str, Any]
    file: str
    function: str


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """The pipeline; nodes of pipelines within it are its own."""

    name: str
    file: str
    tfx: str
    legacy_keras: bool
    beam_pipeline_args: tuple[str, ...]
    nodes: tuple[Node, ...]
    config_functions: tuple[ConfigFunction, ...] = ()

    def of_kind(self, kind: str) -> list[Node]:
        """Returns the nodes of a class, or of one that is derived from it."""
        return [node for node in self.nodes if kind in node.bases]

    def node(self, wanted: str) -> Node | None:
        """Returns a node by its id."""
        return next((node for node in self.nodes if node.id == wanted), None)


def read(text: str) -> Pipeline:
    """Reads what the inspection printed.

    Raises:
        UsageError: It is something else.
    """
    try:
        found = json.loads(text)
        return Pipeline(
            str(found["name"]),
            str(found["file"]),
            str(found["tfx"]),
            str(found["legacy_keras"]) in ("1", "True", "true"),
            tuple(each for each in found["beam_pipeline_args"] if isinstance(each, str)),
            tuple(_nodes(found["components"])),
            tuple(ConfigFunction(**each) for each in found.get("eval_config_functions", ())),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"this is no inspected pipeline: {error!r}\nexpected: what inspection.py prints\n{_FIX}"
        ) from error


def _nodes(components: list[dict[str, Any]]) -> Iterator[Node]:
    for each in components:
        yield Node(
            each["id"],
            each["type"].rpartition(".")[2],
            tuple(each["bases"]),
            each["executor"],
            {name: _read(value) for name, value in each["exec_properties"].items()},
            each["inputs"],
            tuple(each["conditions"]),
            tuple(each["contexts"]),
        )
        yield from _nodes(each["components"])


def _read(value: Any) -> Any:
    """TFX keeps messages and dicts as texts of JSON."""
    if isinstance(value, str) and (value[:1] in ("{", "[") or value == "null"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
