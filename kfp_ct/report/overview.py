"""The first screen: what came of the run, its key figures, its DAG; then its steps in time."""

import datetime
from typing import TYPE_CHECKING, Any

from kfp_ct.pages.html import Html, badge, bullets, escape, facts, join, muted, note, paragraph, table
from kfp_ct.pages.svg import px, svg
from kfp_ct.report import states, words
from kfp_ct.report.content import Content
from kfp_ct.report.decision import Decision, champion_version
from kfp_ct.report.metrics import primary
from kfp_ct.report.parts import link
from kfp_ct.runs.events import State

if TYPE_CHECKING:
    from kfp_ct.runs.record import Task

_LABELS = ("expected", "fix", "found")


def subtitle(content: Content) -> str:
    """Says which run this is, in one line."""
    run = content.run
    changed = " with changes" if run.commit.endswith("-dirty") else ""
    commit = f" · commit {run.commit[:10]}{changed}" if run.commit else ""
    return f"Run {run.id} · {words.moment(run.started)} · {run.cause}, by {run.user} · {run.environment}{commit}"


def verdict(content: Content, decision: Decision) -> Html:
    """The decision, its consequence, and the reasons: every gate, those that said no first."""
    parts: list[Html] = [_reason_lines(decision.details)] if decision.details else []
    if decision.consequence:
        parts.append(paragraph(decision.consequence))
    if decision.step and (content.folder / "logs" / f"{decision.step}.log").is_file():
        parts.append(paragraph("Log: ", link(f"logs/{decision.step}.log", f"logs/{decision.step}.log")))
    if decision.checks:
        parts.append(_gates(decision.checks))
    headline = Html(f'<strong class="headline">{escape(decision.headline)}</strong>')
    return note(decision.kind, headline, *parts)


def figures(content: Content) -> list[Html]:
    """The key figures, as far as the run got."""
    found = {**_metric(content), **_rows(content), **_window(content), **_duration(content), **_served(content)}
    return [facts(found)] if found else []


def steps(content: Content) -> list[Html]:
    """Every step on the run's time line, with what it found."""
    run = content.run
    if not run.tasks:
        return []
    begins = _offsets(content)
    span = max([run.seconds, *(begins[task.name] + task.seconds for task in run.tasks), 0.001])
    rows = [
        [task.name, states.mark(task.state), _time(task), _bar(task, begins[task.name], span), _summary_line(task)]
        for task in run.tasks
    ]
    between = max(run.seconds - sum(task.seconds for task in run.tasks), 0.0)
    said = f"{words.seconds(run.seconds)} in all; {words.seconds(between)} of it before, between and after the steps."
    drawn = table(["step", "result", "time", f"from the start to {words.seconds(span)}", "summary"], rows)
    return [paragraph(said), Html(f'<div class="steps">{drawn}</div>')]


def _reason_lines(lines: tuple[str, ...]) -> Html:
    """A failed step's message: its points as a list, what was expected and what fixes it on lines of their own."""
    if not any(_is_said(line) for line in lines):
        return Html(f"<pre>{escape(chr(10).join(lines))}</pre>")  # not for a person: the last words of a crash
    points = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    others = [_labelled(line) for line in lines if not line.startswith("- ")]
    spoken = Html(f'<p class="said">{join(others, "<br>")}</p>') if others else Html("")
    return join([bullets(points) if points else Html(""), spoken])


def _is_said(line: str) -> bool:
    return line.startswith("- ") or line.partition(": ")[0] in _LABELS


def _labelled(line: str) -> Html:
    label, found, rest = line.partition(": ")
    return join([Html(f"<b>{escape(label)}:</b> "), rest]) if found and label in _LABELS else escape(line)


def _gates(checks: tuple[dict[str, Any], ...]) -> Html:
    ordered = sorted(checks, key=lambda check: bool(check["passed"]))
    rows = [[check["gate"], _passed(check["passed"]), check["reason"]] for check in ordered]
    return table(["gate", "verdict", "why"], rows)


def _metric(content: Content) -> dict[str, Any]:
    metric = primary(content.evaluation)
    if metric is None:
        return {}
    below = [f"{content.evaluation['rows']:,} held-out rows"]
    compared = content.evaluation.get("comparison")
    if compared:
        before = words.version(content.evaluation["compared_with"])
        below = [
            f"champion {before}: {words.metric(metric.champion)}",
            f"{words.change(compared['gain'])} ({words.level(compared['confidence'])} interval "
            f"{words.change(compared['low'])} to {words.change(compared['high'])})",
        ]
    return {metric.title: _tile(words.metric(metric.challenger), *below)}


def _rows(content: Content) -> dict[str, Any]:
    splits = content.manifest.get("splits")
    if not splits:
        return {}
    parts = ", ".join(f"{split['name']} {split['rows']:,}" for split in splits)
    rejected = content.manifest.get("rejected_rows", 0)
    return {"rows": _tile(f"{sum(split['rows'] for split in splits):,}", parts, f"{rejected:,} rejected")}


def _window(content: Content) -> dict[str, Any]:
    parameters, window = content.run.parameters, content.manifest.get("window") or {}
    start = window.get("start") or parameters.get("window_start")
    end = window.get("end") or parameters.get("window_end")
    if not start and not end:
        return {}
    holdout = (content.manifest.get("split_by") or {}).get("holdout")
    until = f"until {words.day(end)}" if end else "without an end"
    return {"window": _tile(words.day(start) if start else "all", until, f"last {holdout} held out" if holdout else "")}


def _duration(content: Content) -> dict[str, Any]:
    tasks = content.run.tasks
    cached = sum(task.state == State.CACHED for task in tasks)
    ran = [task for task in tasks if task.state == State.SUCCEEDED]
    longest = max(ran, key=lambda task: task.seconds, default=None)
    below = f"longest: {longest.name} {words.seconds(longest.seconds)}" if longest else ""
    kept = f"{cached} of {words.count(len(tasks), 'step')} from cache" if cached else ""
    return {"duration": _tile(words.seconds(content.run.seconds), below, kept)}


def _served(content: Content) -> dict[str, Any]:
    deployment = content.deployment
    if not deployment:
        version = champion_version(content)
        return {"registered": _tile(words.version(version))} if version else {}
    previous = deployment.get("previous")
    below = f"before: {words.version(previous)}" if previous else "the first version"
    served = f"{deployment['model']} {words.version(deployment['version'])}"
    return {"served": _tile(served, below, f"from {words.near(deployment['path'])}")}


def _tile(value: str, *below: str) -> Html:
    lines = "".join(f"<small>{escape(line)}</small>" for line in below if line)
    return Html(f"{escape(value)}{lines}")


def _passed(passed: bool) -> Html:
    return badge("ok", "passed") if passed else badge("bad", "refused")


def _offsets(content: Content) -> dict[str, float]:
    """Seconds from the run's start to each task's; 0 for those that never began."""
    return {task.name: _seconds_between(content.run.started, task.started) for task in content.run.tasks}


def _seconds_between(start: str, end: str) -> float:
    try:
        elapsed = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)
    except (ValueError, TypeError):  # a task that never began
        return 0.0
    return max(elapsed.total_seconds(), 0.0)


def _time(task: "Task") -> str | None:
    return words.seconds(task.seconds) if states.ran(task.state) else None


def _bar(task: "Task", begin: float, span: float, width: int = 240) -> Html:
    if not states.ran(task.state):
        return Html("")
    long = max(task.seconds / span * width, 2)
    left = min(begin / span * width, width - long)
    bar = f'<rect class="bar" x="{px(left)}" y="3" width="{px(long)}" height="10" rx="2"/>'
    said = f"{words.seconds(begin)} to {words.seconds(begin + task.seconds)} after the start"
    return svg(
        f'<g class="{states.look(task.state).style}"><path class="axis" d="M0 8H{width}"/>{bar}</g>', (width, 16), said
    )


def _summary_line(task: "Task") -> Any:
    if task.error:
        return task.error.partition("\n")[0]
    return task.summary or muted("")
