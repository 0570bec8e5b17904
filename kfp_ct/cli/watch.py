"""`ct watch` and `ct why`: runs that start by themselves, and why they did."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kfp_ct.base import errors
from kfp_ct.project import workspace

Home = Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct in the repository].")]


def watch(
    name: Annotated[str, typer.Argument(help="Folder under pipelines/, such as flights.")],
    once: Annotated[bool, typer.Option("--once", help="Look once, run if that is the decision, and end.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Ask the watch for a run, and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look once, say the decision, run nothing.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between looks.")] = 30.0,
    pubsub: Annotated[
        str, typer.Option(metavar="SUBSCRIPTION", help="Take messages too: projects/PROJECT/subscriptions/NAME.")
    ] = "",
    home: Home = None,
) -> None:
    """Run a project's pipeline when its triggers.yaml says so: new data, a clock, what monitoring found, a message."""
    from kfp_ct.watch import watch as watching

    watched = watching.open_watch(workspace.find_workspace(home), name)
    console = Console(highlight=False)
    if now:
        watching.wish(watched)
        print(f"asked; a watch of {name} begins the run at its next look")
        return
    if dry_run:
        if pubsub:
            raise errors.UsageError("--dry-run takes no messages: those taken would be gone\nfix: leave out --pubsub")
        _say(console, watching.look(watched, datetime.datetime.now(datetime.UTC)))
        return
    turn: Callable[[Any, Console], Any] = watching.step
    pause = interval
    if pubsub:
        from kfp_ct.watch.pubsub import Subscription

        # Waiting for messages is the pause.
        turn, pause = Subscription(pubsub, interval).turn, min(interval, 1.0)
    if once:
        _say(console, turn(watched, console))
        return
    watching.forever(watched, pause, console, turn=turn)


def why(run: Annotated[str, typer.Argument(help="A run, as `ct runs` lists it.")], home: Home = None) -> None:
    """Say why a run began: who asked for it, or which trigger by what it saw."""
    from kfp_ct.watch import watch as watching

    print(watching.why(workspace.find_workspace(home), run))


def _say(console: Console, decision: Any) -> None:

    wanted = [f"want: {who}: {reason}" for who, reason in zip(decision.triggers, decision.reasons, strict=True)]
    console.print("fire" if decision.fire else "hold", style="bold")
    console.print("\n".join([*wanted, *(f"hold: {line}" for line in decision.holds)]), markup=False, soft_wrap=True)
