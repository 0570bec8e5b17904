"""The run's key figures, as far as it got."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kfp_ct.pages.formats import change, day, duration, level, metric, plural, version
from kfp_ct.report.artifacts import near
from kfp_ct.report.content import Content
from kfp_ct.report.decision import champion_version
from kfp_ct.report.metrics import primary
from kfp_ct.runs.events import State


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure with what is written small below it; empty lines are left out."""

    name: str
    value: str
    below: Sequence[str] = ()


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/figures.html` shows."""
    found = [figure(content) for figure in (_metric, _rows, _window, _duration, _served)]
    return {"figures": [figure for figure in found if figure]}


def _metric(content: Content) -> Figure | None:
    found = primary(content.evaluation)
    if found is None:
        return None
    below = [f"{content.evaluation['rows']:,} held-out rows"]
    compared = content.evaluation.get("comparison")
    if compared:
        champion = version(content.evaluation["compared_with"])
        interval = f"{level(compared['confidence'])} interval {change(compared['low'])} to {change(compared['high'])}"
        below = [f"champion {champion}: {metric(found.champion)}", f"{change(compared['gain'])} ({interval})"]
    return Figure(found.title, metric(found.challenger), below)


def _rows(content: Content) -> Figure | None:
    splits = content.manifest.get("splits")
    if not splits:
        return None
    parts = ", ".join(f"{split['name']} {split['rows']:,}" for split in splits)
    total, rejected = sum(split["rows"] for split in splits), content.manifest.get("rejected_rows", 0)
    return Figure("rows", f"{total:,}", [parts, f"{rejected:,} rejected"])


def _window(content: Content) -> Figure | None:
    parameters, window = content.run.parameters, content.manifest.get("window") or {}
    start = window.get("start") or parameters.get("window_start")
    end = window.get("end") or parameters.get("window_end")
    if not start and not end:
        return None
    holdout = (content.manifest.get("split_by") or {}).get("holdout")
    below = [f"until {day(end)}" if end else "without an end", f"last {holdout} held out" if holdout else ""]
    return Figure("window", day(start) if start else "all", below)


def _duration(content: Content) -> Figure:
    tasks = content.run.tasks
    cached = sum(task.state == State.CACHED for task in tasks)
    ran = [task for task in tasks if task.state == State.SUCCEEDED]
    longest = max(ran, key=lambda task: task.seconds, default=None)
    below = [
        f"longest: {longest.name} {duration(longest.seconds)}" if longest else "",
        f"{cached} of {plural(len(tasks), 'step')} from cache" if cached else "",
    ]
    return Figure("duration", duration(content.run.seconds), below)


def _served(content: Content) -> Figure | None:
    deployment = content.deployment
    if not deployment:
        registered = champion_version(content)
        return Figure("registered", version(registered)) if registered else None
    for held, text in (("waiting", "waits for approval"), ("candidate", "on trial")):
        if held in deployment:
            answers = f"{version(deployment['version'])} answers" if deployment["version"] else "nothing is served"
            return Figure(text, f"{deployment['model']} {version(deployment[held])}", [answers])
    previous = deployment.get("previous")
    below = [f"before: {version(previous)}" if previous else "the first version", f"from {near(deployment['path'])}"]
    return Figure("served", f"{deployment['model']} {version(deployment['version'])}", below)
