"""Triggers: what may start runs by itself, what it has started, and what it would decide now."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from kfp_ct.base.errors import CtError
from kfp_ct.clock.durations import duration
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.ui import response
from kfp_ct.project import applied
from kfp_ct.watch import history, observations, policy, watch

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_MOST_FIRINGS = 30
_SPANS = ("settle", "max_wait")
_STATES = {observations.SUCCEEDED: "succeeded", observations.RUNNING: "running"}


@dataclasses.dataclass(frozen=True)
class Firing:
    """A firing as the page lists it."""

    at: str
    state: str
    triggers: Sequence[str]
    reasons: Sequence[str]
    run: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What would be decided now: whether a run would start, and why or why not."""

    fire: bool
    reasons: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Watched:
    """A project with triggers; `problem` says what is wrong with its triggers.yaml, and then nothing else is known."""

    project: str
    problem: str = ""
    difference: str = ""  # that the file of the checkout is not what counts
    cooldown: float = 0.0
    daily_budget: int = 0
    triggers: Sequence[tuple[policy.Trigger, str]] = ()  # each with its condition in words
    firings: Sequence[Firing] = ()
    verdict: Verdict | None = None
    verdict_problem: str = ""


@router.get("/triggers", response_class=HTMLResponse)
def list_triggers(ctx: Ctx, look: str = "") -> HTMLResponse:
    """Shows the triggers of all projects; `look` names one whose decision now is asked for."""
    found = [_watched(ctx, name, look == name) for name in ctx.workspace.projects()]
    return response.page("triggers.html", projects=[each for each in found if each])


def _watched(ctx: Context, project: str, look: bool) -> Watched | None:
    path = applied.file(ctx.workspace, project, policy.FILE)
    if not path.is_file():
        return None
    try:
        wanted = policy.load(path)
    except CtError as error:
        return Watched(project, problem=str(error))
    entries = history.read(history.path_of(ctx.workspace.home, project))[-_MOST_FIRINGS:][::-1]
    found = Watched(
        project,
        difference=applied.difference(ctx.workspace, project, policy.FILE),
        cooldown=duration(wanted.cooldown),
        daily_budget=wanted.daily_budget,
        triggers=[(each, _condition(each)) for each in wanted.triggers],
        firings=[_firing(entry) for entry in entries],
    )
    return _with_verdict(ctx, found) if look else found


def _with_verdict(ctx: Context, watched: Watched) -> Watched:
    try:
        found = watch.look(watch.open_watch(ctx.workspace, watched.project), datetime.datetime.now(datetime.UTC))
    except CtError as error:
        return dataclasses.replace(watched, verdict_problem=str(error))
    reasons = [f"{name}: {reason}" for name, reason in zip(found.triggers, found.reasons, strict=True)]
    return dataclasses.replace(watched, verdict=Verdict(found.fire, [*reasons, *found.holds]))


def _firing(entry: history.Entry) -> Firing:
    firing = entry.firing
    state = _STATES.get(firing.state, "failed")
    return Firing(firing.at.isoformat(), state, firing.triggers, entry.reasons, firing.run)


def _condition(trigger: policy.Trigger) -> str:
    """Says what a trigger waits for, in the words of triggers.yaml."""
    fields = {name: (getattr(trigger, name), field.default) for name, field in type(trigger).model_fields.items()}
    # A cron expression has a column's style of its own.
    aside = ("name", "kind", "cron")
    names = [name for name, (given, usual) in fields.items() if name not in aside and given != usual]
    return ", ".join(f"{name} {_plain(name, fields[name][0])}" for name in names)


def _plain(name: str, value: Any) -> str:
    if name in _SPANS:
        return response.span(duration(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)
