"""What a person sees while a build goes on and at its end."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kfp_ct.ci.cloudbuild.record import Record
from kfp_ct.ci.cloudbuild.states import Status, StepState

_LOOK = {
    Status.PENDING: ("…", "yellow"),
    Status.QUEUED: ("·", "dim"),
    Status.WORKING: ("▶", "bold cyan"),
    Status.SUCCESS: ("✔", "green"),
    Status.FAILURE: ("✘", "bold red"),
    Status.TIMEOUT: ("✘", "bold red"),
    Status.CANCELLED: ("■", "yellow"),
    Status.NOT_RUN: ("?", "bold yellow"),
    Status.SKIPPED: ("–", "dim"),
    Status.INCOMPLETE: ("?", "bold yellow"),
}
_TAIL = 20


class LiveView:
    """Shows every step with its state, time and last line; on a terminal as a live table, else a line an event."""

    def __init__(self, states: Sequence[StepState], console: Console) -> None:
        self._states, self._console = states, console
        self._since: dict[str, float] = {}
        self._last: dict[str, str] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, state: StepState) -> None:
        """A step begins."""
        self._since[state.label] = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"▶ {state.label}", markup=False, highlight=False)

    def line(self, state: StepState, text: str) -> None:
        """A step wrote a line."""
        self._last[state.label] = text

    def ended(self, state: StepState) -> None:
        """A step ended, or will not run."""
        if not self._console.is_terminal:
            self._console.print(_row_text(state), markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Table:
        table = Table(box=None, padding=(0, 1), show_header=False)
        for column in ("mark", "step", "time", "after", "says"):
            table.add_column(column, justify="right" if column == "time" else "left", overflow="ellipsis", no_wrap=True)
        for state in self._states:
            mark, style = _LOOK[state.status]
            running = state.status is Status.WORKING
            seconds = time.monotonic() - self._since.get(state.label, time.monotonic()) if running else state.seconds
            shown = f"{seconds:.1f} s" if running or state.seconds else ""
            after = f"after {', '.join(state.waits_for)}" if state.waits_for and not running else ""
            said = self._last.get(state.label, "") if running else state.detail
            table.add_row(Text(mark, style), Text(state.label, style), shown, Text(after, "dim"), Text(said))
        return table


def _row_text(state: StepState) -> str:
    mark, _ = _LOOK[state.status]
    forgiven = " (allowed to fail)" if state.forgiven else ""
    return f"{mark} {state.label:<22} {state.seconds:7.1f} s  {state.status}{forgiven} {state.detail}".rstrip()


def account(record: Record, folder: str, logs: Sequence[tuple[StepState, list[str]]]) -> Text:
    """Builds the closing account: the verdict, the end of the log of what failed, where things are."""
    mark, style = _LOOK[record.status]
    text = Text(f"\n{mark} {record.status}", style)
    text.append(f"  {record.detail}\n" if record.detail else "\n", "default")
    for state, lines in logs:
        text.append(f"\n{state.label}: {state.detail}\n", "bold")
        text.append("".join(f"  │ {line}\n" for line in lines[-_TAIL:]))
    not_run = [f"  {state.label}: {state.detail}\n" for state in record.steps if state.status is Status.NOT_RUN]
    if not_run:
        text.append("\nnot run on this machine:\n" + "".join(not_run))
    for image, digest in record.images.items():
        text.append(f"pushed        {image} as {digest}\n")
    return text.append(f"build         {record.id}  {record.seconds:.1f} s, {record.where}\nlogs          {folder}")


def table(records: Sequence[Record]) -> Table:
    """Builds the list of builds."""
    listing = Table(box=None, padding=(0, 1))
    for heading in ("build", "status", "seconds", "branch", "commit", "steps", "cause"):
        listing.add_column(heading, overflow="fold")
    for record in records:
        mark, style = _LOOK[record.status]
        done = sum(step.status is Status.SUCCESS for step in record.steps)
        listing.add_row(
            record.id,
            Text(f"{mark} {record.status}", style),
            f"{record.seconds:.1f}",
            record.branch,
            record.commit[:7],
            f"{done}/{len(record.steps)}",
            record.cause,
        )
    return listing
