"""`ct watch`."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output, watch_service
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from rich.console import Console

    from kfp_ct.watch.decide import Decision


SettingsOfRuns = Annotated[
    str, typer.Option("--settings", help="Settings of the runs.", show_default="what triggers.yaml says")
]
State = Annotated[
    str,
    typer.Option(
        metavar="URI",
        help="With --target kfp or vertex: the object, such as s3://bucket/watch.json, that keeps the firings.",
        show_default="watch/PROJECT.json in the store that the settings name, else in the local state",
    ),
]
_Alive = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --target kfp or vertex: file to touch at each look, for a probe.",
        show_default="none",
    ),
]


@exit_codes({4: "With --once: the run failed.", 130: "The watch was interrupted."})
def watch(
    name: options.Project,
    once: Annotated[bool, typer.Option("--once", help="Look once, run if that is the decision, and end.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Ask the watch of this project for a run, and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look once, show the decision, and run nothing.")] = False,
    interval: Annotated[float, typer.Option(metavar="SECONDS", help="Time between two looks.")] = 30.0,
    pubsub: Annotated[
        str,
        typer.Option(
            metavar="SUBSCRIPTION",
            help="Also receive messages: projects/PROJECT/subscriptions/NAME.",
            show_default="none",
        ),
    ] = "",
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: SettingsOfRuns = "",
    state: State = "",
    alive: _Alive = None,
    home: options.Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision of --once or --dry-run.")] = False,
) -> None:
    """Run a pipeline when its triggers ask for it.

    Triggers are those of the project's triggers.yaml: new data, the time, what monitoring found, a message, a
    person. A release of the project's model is judged at every look. It watches until it is interrupted.
    With --target kfp or vertex the runs are the service's: of the version that was deployed last, never two of a
    pipeline at once, whoever started the other; releases are judged by a watch without it.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.watch import watch as watching

    if as_json and not (once or dry_run):
        raise UsageError("--json prints one decision, and a watch makes many\nfix: add --once or --dry-run")
    watched = watching.open_watch(find_workspace(home), name, environment)
    console = open_console(stderr=as_json)
    _say_what_counts(watched, console)
    if target != "local":
        place = watch_service.Place(target, host, auth, state, pubsub)
        mode = watch_service.Mode(once, now, dry_run, interval, alive)
        _print(watch_service.run(watched, place, mode, console), console, as_json)
        return
    watch_service.refuse_options(state, alive)
    decision = None
    if now:
        watching.request_run(watched)
        print(f"asked; a watch of {name} starts the run at its next look")
    elif dry_run:
        watch_service.refuse_messages(pubsub)
        decision = watching.look(watched, datetime.datetime.now(datetime.UTC))
    else:
        decision = _watch(watched, console, interval, pubsub, once)
    _print(decision, console, as_json)


def _say_what_counts(watched: Any, console: "Console") -> None:
    from kfp_ct.project import applied
    from kfp_ct.watch import policy

    if difference := applied.difference(watched.workspace, watched.project, policy.FILE):
        console.print(difference, markup=False, soft_wrap=True)


def _print(decision: "Decision | None", console: "Console", as_json: bool) -> None:
    if as_json:
        output.print_json(decision)
    elif decision:
        _show(console, decision)


def _watch(watched: Any, console: "Console", interval: float, pubsub: str, once: bool) -> "Decision":
    """Watches; returns the decision of the only look."""
    from kfp_ct.watch import watch as watching

    turn: Callable[[Any, Any], Any] = watching.step
    pause = interval
    if pubsub:
        from kfp_ct.watch.pubsub import Subscription

        # Waiting for messages is the pause.
        turn, pause = Subscription(pubsub, interval).turn, min(interval, 1.0)

    def with_release(watched: Any, console: "Console") -> "Decision":
        watching.step_release(watched, console)
        return turn(watched, console)

    if not once:
        watching.watch_forever(watched, pause, console, turn=with_release)
    return with_release(watched, console)


def _show(console: "Console", decision: "Decision") -> None:
    wanted = [f"want: {who}: {reason}" for who, reason in zip(decision.triggers, decision.reasons, strict=True)]
    console.print("fire" if decision.fire else "hold", style="bold")
    console.print("\n".join([*wanted, *(f"hold: {line}" for line in decision.holds)]), markup=False, soft_wrap=True)
