"""`ct replay`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

_SETTINGS = "replay.yaml's"


@exit_codes({130: "The replay was interrupted; the next one goes on where it stopped."})
def replay(
    name: options.Project,
    start: Annotated[
        str, typer.Option(metavar="DATE", help="When the first model begins to serve.", show_default=_SETTINGS)
    ] = "",
    end: Annotated[
        str, typer.Option(metavar="DATE", help="Day after the last that is replayed.", show_default=_SETTINGS)
    ] = "",
    every: Annotated[
        str,
        typer.Option(metavar="LENGTH", help="Length of a window, such as '1 month'.", show_default=_SETTINGS),
    ] = "",
    label_delay: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How late labels come, such as 7d.", show_default=_SETTINGS),
    ] = "",
    compare: Annotated[
        list[Path],
        typer.Option(metavar="POLICY", help="Another policy to try, a file like triggers.yaml; repeatable."),
    ] = [],  # noqa: B006 - typer copies it
    assignments: options.Assignments = [],  # noqa: B006
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Strategies at a time.")] = 1,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Replay a project's past: does retraining pay, and when?

    Data arrives window by window, the triggers decide, the pipeline runs, the model answers the next window, labels
    come late, monitoring looks; against it a model that is trained once, one that is trained at every window, and
    further policies. It has a registry, models and a cache of its own below the local state.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.replay import replay as replaying
    from kfp_ct.replay import summary

    given = {"start": start, "end": end, "every": every, "label_delay": label_delay}
    overrides = dict(settings.parse_override(text) for text in assignments)
    chosen = {key: value for key, value in given.items() if value}
    request = replaying.Request(name, chosen, overrides, compare, jobs)
    workspace, console = find_workspace(home), open_console(stderr=as_json)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    report = replaying.replay(workspace, request, say)
    if as_json:
        output.print_json(summary.machine(report))
        return
    for each in report.outcomes:
        cost = f"{each.retrains} retrains, {each.train_seconds:.1f} s of training"
        say(f"{each.name}: mean {each.metric} {each.mean:.4f}, {cost}")
    say(report.recommendation)
    say(str(replaying.own_workspace(workspace, name).home / replaying.HTML))
