"""The card of the model that a run made, with what was measured of it since."""

import dataclasses
from pathlib import Path

from kfp_ct.cards import model_card
from kfp_ct.cards.model_card import Card
from kfp_ct.cards.statement import Statement
from kfp_ct.data import layouts
from kfp_ct.report import importance
from kfp_ct.report.report import JSON


def of_run(folder: Path, statement: Statement) -> Card:
    """Returns the card of the model that a run made.

    Args:
        folder: The run's, with its report.json.
        statement: What people say of the model.
    """
    card = model_card.of(layouts.read_json(folder / JSON), statement)
    moves = importance.read(folder, importance.GRADIENTS)
    return dataclasses.replace(card, importance=importance.read(folder), attribution=moves)
