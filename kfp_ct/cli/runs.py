"""`ct runs`."""

from typing import TYPE_CHECKING

from kfp_ct.cli import options, output

if TYPE_CHECKING:
    from kfp_ct.runs.record import Run

HEADINGS = ("run", "pipeline", "window end", "state", "blessed", "seconds", "cause")


def runs(home: options.Home = None, as_json: options.Json = False) -> None:
    """List the runs on this machine, newest first."""
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.runs import record

    found = record.load_all(find_workspace(home))
    if as_json:
        output.print_json(found)
    elif found:
        _print_table(found)
    else:
        print("no runs yet: start one with `ct run flights`")


def _print_table(found: list["Run"]) -> None:
    from rich.table import Table

    from kfp_ct.cli.console import open_console

    table = Table(box=None, padding=(0, 1))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading == "run", min_width=20 if heading == "run" else None, overflow="fold")
    for run in found:
        table.add_row(*_row(run))
    open_console().print(table)


def _row(run: "Run") -> list[str]:
    return [
        run.id,
        f"{run.project}/{run.pipeline.rpartition('.')[2]}",
        str(run.parameters.get("window_end", "")),
        run.state,
        {True: "yes", False: "no", None: ""}[run.blessed],
        f"{run.seconds:.1f}",
        run.cause,
    ]
