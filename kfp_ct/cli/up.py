"""`ct up`."""

from typing import Annotated

import typer

from kfp_ct.cli import options


def up(
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback requires a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    parallel: Annotated[int, typer.Option(min=1, help="How many runs may go on at once.")] = 1,
    names: Annotated[
        list[str], typer.Option("--name", metavar="HOST", help="Accept requests for this host name too; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    token: Annotated[
        str, typer.Option(envvar="CT_TOKEN", help="Token that callers must send.", show_default="none on loopback")
    ] = "",
    home: options.Home = None,
) -> None:
    """Serve Kubeflow Pipelines' API and a UI on this machine.

    `kfp.Client` and the `kfp` command work against it: pipelines, runs, schedules. It serves until it is told to
    stop (Ctrl-C, SIGTERM).
    """
    from kfp_ct.endpoint import server
    from kfp_ct.project.workspace import find_workspace

    server.serve(find_workspace(home), host, port, parallel, names, token)
