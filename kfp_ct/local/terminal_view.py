"""What a person sees while a run goes on and at its end."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kfp_ct.base import task_log as protocol
from kfp_ct.report.metrics import pick, primary
from kfp_ct.report.verdicts import only_not_significant
from kfp_ct.runs.events import Outcome, State
from kfp_ct.runs.record import Run
from kfp_ct.runs.task_inputs import TaskInputs

_LONGEST_OUTPUT = 500  # characters; the record has it whole
_LOOK = {
    State.PENDING: ("·", "dim"),
    State.RUNNING: ("▶", "bold cyan"),
    State.SUCCEEDED: ("✔", "green"),
    State.CACHED: ("≡", "blue"),
    State.FAILED: ("✘", "bold red"),
    State.SKIPPED: ("–", "dim"),
}


class LiveView:
    """Shows every step with its state, time and summary; on a terminal as a live table, else a line an event."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run = run
        self._console = console
        self._progress: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, task: str, component: str) -> None:
        """A task begins."""
        self._since[task] = time.monotonic()

    def resolved(self, task: str, inputs: TaskInputs) -> None:
        """Why a task runs is told afterwards, by `ct why-not-cached`."""

    def repeated(self, tasks: Sequence[str], count: int) -> None:
        """The table shows what the record has."""

    def line(self, task: str, text: str) -> None:
        """Shows how far a long step has come."""
        if text.startswith((protocol.PROGRESS, protocol.SUMMARY)):
            self._progress[task] = text.partition(": ")[2]

    def ended(self, task: str, outcome: Outcome) -> None:
        """A task ended; one that will not run has a line in the table only."""
        if not self._console.is_terminal and outcome.state is not State.SKIPPED:
            mark, _ = _LOOK[outcome.state]
            error = outcome.error.splitlines()[0] if outcome.error else ""
            message = error or outcome.summary
            self._console.print(
                f"{mark} {task:<17} {outcome.seconds:6.1f} s  {_word(outcome.state)}{message}",
                markup=False,
                soft_wrap=True,
            )

    def _render(self) -> Table:
        table = Table(box=None, padding=(0, 1), show_header=False)
        for column in ("mark", "step", "time", "summary"):
            table.add_column(column, justify="right" if column == "time" else "left", overflow="fold")
        for task in self._run.tasks:
            mark, style = _LOOK[State(task.state)]
            running = task.state == State.RUNNING
            seconds = time.monotonic() - self._since.get(task.name, time.monotonic()) if running else task.seconds
            shown = f"{seconds:.1f} s" if task.state not in (State.PENDING, State.SKIPPED) else ""
            message = self._progress.get(task.name, "") if running else (task.error.partition("\n")[0] or task.summary)
            table.add_row(Text(mark, style), Text(task.name, style), shown, f"{_word(State(task.state))}{message}")
        return table


def _word(state: State) -> str:
    return "from cache: " if state is State.CACHED else ""


def result(run: Run, report: str) -> Group:
    """Builds the closing account: decision and reasons, metrics per slice, where things are."""
    evaluation = run.summary("evaluate", "evaluation")
    infra = run.summary("validate-infra", "infra_validation")
    deployment = run.summary("deploy", "deployment")
    parts: list[Any] = [Text(), _decision(run, evaluation, infra)]
    if evaluation:
        parts += [_reasons([*evaluation["checks"], *infra.get("checks", ())]), Text(), _metrics(evaluation)]
    parts.append(Text())
    cached = sum(task.state == State.CACHED for task in run.tasks)
    if cached:
        parts.append(f"{cached} of {len(run.tasks)} steps were served from the cache: their inputs have not changed.")
    if deployment:
        parts.append(f"served from   {deployment['path']}  (run `ct serve` to answer requests)")
    if failed := next((task for task in run.tasks if task.state == State.FAILED), None):
        parts.append(Text(f"log           {Path(report).parent / 'logs' / f'{failed.name}.log'}"))
    parts.append(Text(f"report        {report}"))
    parts.append(f"run           {run.id}  {run.seconds:.1f} s")
    return Group(*parts)


def _decision(run: Run, evaluation: dict[str, Any], infra: dict[str, Any] | None = None) -> Text:
    failed = next((task for task in run.tasks if task.state == State.FAILED), None)
    if failed:
        first, *rest = failed.error.splitlines() or ["stopped"]
        return Text("\n".join([f"FAILED in {failed.name}: {first}", *(f"  {line}" for line in rest)]), "bold red")
    monitored = run.summary("monitor", "report")
    if monitored:
        texts = [found["text"] for found in (*monitored["reasons"], *monitored["alarms"])]
        headline = "RETRAIN" if monitored["retrain"] else f"NO REASON TO RETRAIN ({monitored['state']})"
        return Text("\n  ".join([headline, *texts]), "bold yellow" if texts else "bold green")
    if not evaluation:
        feeding = {name for task in run.tasks for name in task.upstream}
        summaries = [f"  {task.summary}" for task in run.tasks if task.summary and task.name not in feeding]
        return Text("\n".join(["done", *summaries, *_outputs(run)]), "bold")
    if evaluation["blessed"] and (infra or {}).get("blessed", True):
        register = run.task("register")
        version = register.parameters.get("version", "?") if register else "?"
        return Text(f"BLESSED: version {version} is the champion", "bold green")
    champion = evaluation.get("compared_with")
    if only_not_significant(evaluation):
        return Text(f"NOT SIGNIFICANTLY BETTER: the champion stays (version {champion})", "bold yellow")
    kept = f"the champion stays (version {champion})" if champion else "nothing is deployed"
    return Text(f"NOT BLESSED: {kept}", "bold yellow")


def _outputs(run: Run) -> Iterator[str]:
    """Yields a line for each output of the pipeline."""
    for name, value in run.outputs.items():
        is_artifact = isinstance(value, dict) and set(value) == {"uri", "type", "metadata"}
        text = str(value["uri"]) if is_artifact else json.dumps(value, ensure_ascii=False, default=str)
        yield f"  {name} = {text if len(text) <= _LONGEST_OUTPUT else f'{text[:_LONGEST_OUTPUT]}…'}"


def _reasons(checks: list[dict[str, Any]]) -> Group:
    lines = [
        Text(f"  {'✔' if check['passed'] else '✘'} {check['reason']}", "" if check["passed"] else "yellow")
        for check in checks
    ]
    return Group(*lines)


def _metrics(evaluation: dict[str, Any]) -> Table:
    whole = primary(evaluation)
    metric = whole.title if whole else ""
    table = Table(box=None, padding=(0, 2))
    for heading in ("slice", "rows", metric, "champion", "difference"):
        table.add_column(heading, justify="left" if heading == "slice" else "right")
    overall = {"slice": "all rows", "rows": evaluation["rows"], **evaluation["metrics"]}
    for row in [overall, *evaluation["slices"]]:
        found = whole if row is overall else pick(evaluation, row)
        value, champion = (found.challenger, found.champion) if found and found.title == metric else (None, None)
        difference = f"{value - champion:+.4f}" if value is not None and champion is not None else ""
        table.add_row(row["slice"], f"{row['rows']:,}", _number(value), _number(champion), difference)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
