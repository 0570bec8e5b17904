"""What a project is made of while it is drawn up: settings, files, and a row for everything that the pipeline has."""

import dataclasses
from pathlib import Path
from typing import Any

SAME, DIFFERS, MISSING = "same", "differs", "no equal"


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing that a TFX pipeline has, and what is in its place here.

    Attributes:
        node: The node's id.
        what: The option, or empty for the whole node.
        state: Whether it is the same here, differs, or has no equal.
        here: What is in its place, or what to do.
        essential: Whether no project can be written without it.
    """

    node: str
    what: str
    state: str
    here: str
    essential: bool = False


@dataclasses.dataclass
class Draft:
    """The project so far.

    Attributes:
        root: The repository.
        name: The project's.
        beside: The folder of the pipeline's file.
        parameters: Of every environment.
        sources: Of this machine.
        files: Name in the project's folder to its text.
        top: Entries of the settings beside the parameters.
        rows: What maps to what.
        done: Ids of nodes that rows speak of.
    """

    root: Path
    name: str
    beside: Path
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    sources: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    top: dict[str, Any] = dataclasses.field(default_factory=dict)
    rows: list[Row] = dataclasses.field(default_factory=list)
    done: set[str] = dataclasses.field(default_factory=set)

    @property
    def folder(self) -> str:
        """The project's folder as settings name it."""
        return f"pipelines/{self.name}"

    def add(self, node: str, what: str, state: str, here: str) -> None:
        """Adds a row."""
        self.rows.append(Row(node, what, state, here))
        self.done.add(node)

    def block(self, node: str, what: str, here: str) -> None:
        """Adds a row for what is essential and has no equal."""
        self.rows.append(Row(node, what, MISSING, here, essential=True))
        self.done.add(node)

    @property
    def blocking(self) -> list[Row]:
        """The rows that no project can be written with."""
        return [row for row in self.rows if row.essential]
