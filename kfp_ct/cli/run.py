"""`ct run`."""

from typing import Annotated

import typer

from kfp_ct.base.errors import RunFailedError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes(
    {
        0: "The run reached its end, whether the model was blessed or refused (see --json).",
        4: "A step failed.",
        130: "The run was interrupted.",
    }
)
def run(
    name: options.Project,
    window_start: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="First day of the data window, inclusive.", show_default="the settings'"),
    ] = None,
    window_end: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Day after the last of the window, exclusive.", show_default="the settings'"),
    ] = None,
    assignments: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Override a setting, such as hyperparameters.epochs=3: dots reach nested ones; repeatable.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    environment: options.Environment = "local",
    cache: Annotated[bool, typer.Option(help="Reuse the results of steps whose inputs have not changed.")] = True,
    cause: options.Cause = "on demand",
    containers: Annotated[bool, typer.Option("--containers", help="Run every task in a container.")] = False,
    image: Annotated[str, typer.Option(help="Image of the tasks with --containers.")] = "kfp-ct-components:dev",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run a project's pipeline on this machine.

    The run goes from data to a model that is blessed, registered and served, or refused with the reasons. It leaves
    a record (`ct runs`) and a report.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.local import run as runner
    from kfp_ct.local import terminal_view
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace(home)
    windows = {"window_start": window_start, "window_end": window_end}
    overrides = {key: value for key, value in windows.items() if value is not None}
    overrides |= dict(settings.parse_override(text) for text in assignments)
    console = open_console(stderr=as_json)
    request = runner.RunRequest(name, environment, overrides, cache, cause, image if containers else "")
    done = runner.execute(workspace, request, console)
    report = workspace.runs / done.id / "report.html"
    console.print(terminal_view.result(done, str(report)), soft_wrap=True)
    if as_json:
        output.print_json(done)
    if done.state != "SUCCEEDED":
        raise typer.Exit(RunFailedError.exit_code)
