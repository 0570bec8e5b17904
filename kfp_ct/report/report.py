"""The report of a run: a page for people and the same content for programs, beside the record."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from kfp_ct.base import redaction
from kfp_ct.cards import card_formats, model_card
from kfp_ct.cards.statement import Statement
from kfp_ct.data import layouts
from kfp_ct.report import machine, page
from kfp_ct.report.content import Content, gather
from kfp_ct.report.decision import decide

if TYPE_CHECKING:
    from kfp_ct.runs.record import Run

PAGE, JSON, CARD = "report.html", "report.json", "model_card.html"


def write(run: "Run", folder: Path) -> Path:
    """Writes report.html and report.json, whatever the run came to, and model_card.html if it evaluated a model.

    Args:
        run: The record, closed or not.
        folder: The run's folder.

    Returns:
        The page.
    """
    content = gather(run, folder)
    decision = decide(content)
    account = redaction.redact_tree(machine.account(content, decision))
    layouts.write_json(folder / JSON, account)
    has_card = _write_card(account, content, folder / CARD)
    layouts.write_text(folder / PAGE, page.draw(content, decision, CARD if has_card else ""))
    return folder / PAGE


def _write_card(account: Mapping[str, Any], content: Content, path: Path) -> bool:
    """Writes the model card with the words that the gate has read; returns whether there is one.

    A summary of another shape (an older component's, from the cache) must not cost the report.
    """
    try:
        statement = Statement.model_validate(content.evaluation.get("statement") or {})
        card = model_card.of(account, statement)
        if card.overall:
            layouts.write_text(path, card_formats.text(card, "html"))
        return bool(card.overall)
    except (LookupError, TypeError, ValueError, AttributeError, jinja2.UndefinedError):
        return False
