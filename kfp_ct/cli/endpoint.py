"""The command `ct up`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.project import workspace


def up(
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback demands a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8080,
    parallel: Annotated[int, typer.Option(min=1, help="How many runs go on at once.")] = 1,
    names: Annotated[list[str], typer.Option("--name", help="A further host name it may be asked for under.")] = [],  # noqa: B006 - typer copies it
    token: Annotated[
        str, typer.Option(envvar="CT_TOKEN", help="What callers must send [default: none on loopback].")
    ] = "",
    home: Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct].")] = None,
) -> None:
    """Serve pipelines, runs and schedules on this machine: Kubeflow Pipelines' API, for kfp.Client, and a UI."""
    from kfp_ct.endpoint import server

    server.serve(workspace.find_workspace(home), host, port, parallel, names, token)
