"""The report of a run: a page for people and the same content for programs, beside the record."""

from pathlib import Path
from typing import TYPE_CHECKING

from kfp_ct.base import redaction
from kfp_ct.data import layouts
from kfp_ct.report import machine, page
from kfp_ct.report.content import gather
from kfp_ct.report.decision import decide

if TYPE_CHECKING:
    from kfp_ct.runs.record import Run

PAGE, JSON = "report.html", "report.json"


def write(run: "Run", folder: Path) -> Path:
    """Writes report.html and report.json, whatever the run came to.

    Args:
        run: The record, closed or not.
        folder: The run's folder.

    Returns:
        The page.
    """
    content = gather(run, folder)
    decision = decide(content)
    layouts.write_json(folder / JSON, redaction.redact_tree(machine.account(content, decision)))
    layouts.write_text(folder / PAGE, page.draw(content, decision))
    return folder / PAGE
