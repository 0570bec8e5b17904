"""`ct wait`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import completion, options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.project.settings import Settings


@exit_codes(
    {
        0: "The run succeeded.",
        4: "The run failed.",
        7: "The service refused, failed or did not answer.",
        124: "The run was still going at --timeout; it goes on.",
    }
)
def wait(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `ct deploy --run` says it.")],
    project: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Project whose settings say where the service is.",
            show_default="the only one; none with --host, or for local",
            autocompletion=completion.projects,
        ),
    ] = "",
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait this long at most.", show_default="no limit")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Wait for the end of a run that was started before.

    A line for every change of a task; why one failed, from its log; what keeps a pod from starting.
    """
    from kfp_ct.deploy import progress
    from kfp_ct.deploy.connect import open_target, require_service

    service, _ = open_target(
        service_settings(project, environment, bool(host) or target == "local"), target, host, auth
    )
    require_service(service, target)

    def say(line: str) -> None:
        print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    say(f"run {run}: {service.page(run)}")
    view = progress.follow(service, run, say, progress.for_target(target, timeout))
    if as_json:
        output.print_json({"run": run, "state": view.state, "tasks": {n: t.state for n, t in view.tasks.items()}})


def service_settings(project: str, environment: str, is_found: bool) -> "Settings":
    """Returns the settings that say where a service is; empty ones where that is known without."""
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    if not project and is_found:
        return settings.Settings("", environment, "", {})
    workspace = find_workspace()
    if not project:
        found = workspace.projects()
        if len(found) != 1:
            raise UsageError(f"there are several projects\nexpected: one of {', '.join(found)}\nfix: --project NAME")
        project = found[0]
    return settings.load(workspace, project, environment, {})
