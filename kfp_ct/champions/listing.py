"""What there is to choose from: the versions of a model, and which of them is champion and served."""

import dataclasses
import datetime
from pathlib import Path

from rich.table import Table

from kfp_ct.base.errors import ModelNotBlessedError
from kfp_ct.champions import approval
from kfp_ct.champions import locations as places
from kfp_ct.champions.locations import Location
from kfp_ct.data import layouts
from kfp_ct.models import approvals, blessing, champion_history, model_version, release_state
from kfp_ct.models.champion_history import Move
from kfp_ct.models.release_state import State
from kfp_ct.report import metrics


@dataclasses.dataclass(frozen=True)
class Listed:
    """One version; `by` and `why` are of the last move that made it the champion."""

    model: str
    version: str
    champion: bool
    served: bool
    blessed: bool
    run: str
    window: str
    metric: str
    value: float | None
    registered: str
    by: str
    why: str
    release: str = ""  # its part in a release that runs, or how its last one ended
    approval: str = ""  # that it waits for approval or was rejected, and by whom


def versions(place: Location, name: str) -> list[Listed]:
    """Lists a model's versions, newest first.

    Raises:
        UsageError: The registry has no such model.
    """
    found = places.versions(place, name)
    champion = place.reader.champion(name)
    served = place.target(name).served(name)
    kept = release_state.read(str(place.serving_root), name)
    release = kept.state if kept else None
    return [
        dataclasses.replace(
            _listed(place, name, version, champion.number if champion else "", served),
            release=_release(version.number, release),
        )
        for version in found
    ]


def history(place: Location, name: str) -> list[Move]:
    """Lists what made which version the champion, newest first."""
    return champion_history.history(places.versions(place, name))[::-1]


def history_with_words(place: Location, name: str) -> list[Move]:
    """Lists the same, and who asked for, gave or refused an approval."""
    return with_words(place, name, history(place, name))


def with_words(place: Location, name: str, moves: list[Move]) -> list[Move]:
    """Returns moves of a model and, between them, who asked for, gave or refused an approval."""
    return sorted([*moves, *approval.history(place, name)], key=lambda move: move.at, reverse=True)


def table(listed: list[Listed]) -> Table:
    """Draws versions as lines."""
    drawn = _table("model", "version", "", "blessed", "window", "metric", "run", "registered", "by", "why")
    for each in listed:
        marks = ", ".join(
            word
            for word, applies in (
                ("champion", each.champion),
                ("served", each.served),
                (each.release, each.release),
                (each.approval, each.approval),
            )
            if applies
        )
        metric = f"{each.metric} {each.value:.4f}" if each.value is not None else ""
        blessed = "yes" if each.blessed else "no"
        # Whole days read better without their hour.
        window, when = each.window.replace("T00:00:00", "").replace("/", " to "), _short(each.registered)
        drawn.add_row(each.model, each.version, marks, blessed, window, metric, each.run, when, each.by, each.why)
    return drawn


def moves_table(found: list[Move]) -> Table:
    """Draws moves as lines."""
    drawn = _table("when", "what", "from", "to", "by", "why", "run")
    for move in found:
        what = move.kind if move.state == champion_history.DONE else f"{move.kind} ({move.state})"
        drawn.add_row(_short(move.at), what, move.before or "-", move.version, move.by, move.why, move.run)
    return drawn


def _release(version: str, release: State | None) -> str:
    if release is None or release.candidate != version or release.state == release_state.PROMOTED:
        return ""
    if release.unfinished:
        return f"shadow {release.shadow} %" if release.shadow else f"canary {release.percent} %"
    return "backed out"


def _listed(place: Location, name: str, version: model_version.ModelVersion, champion: str, served: str) -> Listed:
    with places.records(place, name, version) as folder:
        metric, blessed = _metric(folder), _blessed(folder)
    last = next(iter(champion_history.history([version])[::-1]), None)
    return Listed(
        model=name,
        version=version.number,
        champion=version.number == champion,
        served=version.number == served,
        blessed=blessed,
        run=version.tags.get("run", ""),
        window=version.tags.get("window", ""),
        metric=metric.name if metric else "",
        value=metric.challenger if metric else None,
        registered=datetime.datetime.fromtimestamp(version.created / 1000, datetime.UTC).isoformat(timespec="seconds"),
        by=last.by if last else "",
        why=last.why if last else "",
        approval=_approval(version, version.number == champion),
    )


def _approval(version: model_version.ModelVersion, champion: bool) -> str:
    found = approvals.standing(version)
    return found.title if found and not champion and found.state != approvals.APPROVED else ""


def _metric(folder: Path | None) -> metrics.Metric | None:
    path = folder / layouts.REGISTERED / layouts.KEPT_EVALUATION / layouts.SUMMARY if folder else None
    return metrics.primary(layouts.read_json(path)) if path and path.is_file() else None


def _blessed(folder: Path | None) -> bool:
    """Whether the version says that every stage blessed it; promote also looks whether it is what was blessed."""
    if folder is None:
        return False
    try:
        blessing.require_yes(places.kept_blessing(folder))
    except ModelNotBlessedError:
        return False
    return True


def _table(*headings: str) -> Table:
    drawn = Table(box=None, padding=(0, 1))
    for heading in headings:
        drawn.add_column(heading, overflow="fold", no_wrap=heading in ("version", "run", "when", "registered"))
    return drawn


def _short(time: str) -> str:
    return time[:16].replace("T", " ")
