"""The model card that the registry keeps with a version: written from what register is handed, before the version."""

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.base.json_values import jsonable
from kfp_ct.cards import card_formats, model_card
from kfp_ct.cards.model_card import Card
from kfp_ct.cards.statement import Statement
from kfp_ct.data import layouts
from kfp_ct.models.blessing import Blessing

# The longest text that MLflow's tables take as a version's description.
DESCRIPTION_LENGTH = 5_000


def describe(
    verdict: Blessing, manifest: layouts.Manifest, summary: Mapping[str, Any], told: Mapping[str, Any]
) -> Card:
    """Returns the card of a blessed model.

    Args:
        verdict: On the model.
        manifest: Of the data it was trained on.
        summary: Of its evaluation; the words of model_card.yaml stand in it where the gate has read them.
        told: Its `model_name`, and the run's lineage.
    """
    name = str(told["model_name"])
    run = {"id": told.get("run", ""), "versions": {}, "ended": datetime.datetime.now(datetime.UTC).isoformat()}
    run |= {key: str(told.get(key, "")) for key in ("pipeline", "commit", "code_version", "image", "cause", "user")}
    run |= {"project": str(told.get("project") or name)}
    run |= {"parameters": {"model_name": name, "gates": summary.get("gates") or {}}}
    report = {
        "run": run,
        "decision": {},
        "data": jsonable(dataclasses.asdict(manifest)),
        "metrics": summary.get("metrics") or {},
        "slices": summary.get("slices") or [],
        "baseline": summary.get("baseline"),
        "checks": [{"gate": each.gate, "passed": each.passed, "reason": each.reason} for each in verdict.checks],
        "infra": None,
    }
    statement = Statement.model_validate(summary.get("statement") or {})
    return model_card.of(report, statement, verdict.model_fingerprint)


def description(card: Card) -> str:
    """Returns what the registry's own page shows of a version: the card in Markdown, as much of it as is taken."""
    text = card_formats.body(card)
    if len(text) <= DESCRIPTION_LENGTH:
        return text
    rest = f"\n\n… the whole card is in {layouts.REGISTERED}/{layouts.KEPT_CARD} of the version's files"
    kept = text[: DESCRIPTION_LENGTH - len(rest)]
    return kept[: kept.rindex("\n")] + rest  # no half line: it may be a table's


def write(card: Card, folder: Path) -> dict[str, Path]:
    """Writes the card in its three forms; returns where the registry keeps each, and the file to copy there."""
    forms = {form: folder / f"{layouts.KEPT_CARD}.{form}" for form in card_formats.FORMATS}
    for form, path in forms.items():
        layouts.write_text(path, card_formats.text(card, form))
    return {f"{layouts.KEPT_CARD}/{path.name}": path for path in forms.values()}
