"""A project's model_card.yaml: what only people know of its model."""

from pathlib import Path

from kfp_ct.cards.statement import Statement
from kfp_ct.project import yaml_file

FILE = "model_card.yaml"


def load(folder: Path) -> Statement:
    """Reads a project's model_card.yaml; without one nothing is said.

    Args:
        folder: The project's, in pipelines/.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    path = folder / FILE
    if not path.is_file():
        return Statement()
    statement: Statement = yaml_file.described(yaml_file.read(path), Statement, path)
    return statement
