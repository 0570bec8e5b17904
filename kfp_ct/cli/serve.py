"""`ct serve`."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.cli import options


def serve(
    root: Annotated[
        str | None,
        typer.Option(
            help="Folder of served models, or where deploy publishes to: s3://…, gs://….",
            show_default="serving in the local state",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8501,
    grpc_port: Annotated[
        int | None, typer.Option(help="Port for gRPC; 0 takes a free one.", show_default="no gRPC")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that answer, each with its own copy of the models.")
    ] = 1,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of `ct features materialize`: what requests leave out is looked up there.",
            show_default="none",
        ),
    ] = None,
    request_log: Annotated[
        str | None,
        typer.Option(help="Folder, s3:// or gs:// to log requests to, for monitoring.", show_default="no log"),
    ] = None,
    sample: Annotated[float, typer.Option(min=0, max=1, help="Fraction of the requests to log.")] = 1.0,
    max_mb: Annotated[int, typer.Option(min=1, help="Size of the log in MB; the oldest files are deleted.")] = 1024,
    log_rows: Annotated[int, typer.Option(min=1, help="Write a file of the log after this many rows.")] = 20_000,
    log_seconds: Annotated[int, typer.Option(min=1, help="Flush the log after this many seconds.")] = 60,
    home: options.Home = None,
) -> None:
    """Serve deployed models over HTTP and gRPC.

    It speaks TF Serving's REST and gRPC and the Open Inference Protocol. New versions are picked up as they
    appear. It serves until it is told to stop (Ctrl-C, SIGTERM).
    """
    from kfp_ct.local import serve as server
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.storage import locations

    log = {"": request_log and locations.absolute(request_log), "-sample": sample, "-max-mb": max_mb,
           "-rows": log_rows, "-seconds": log_seconds}  # fmt: skip
    given = [f"--request-log{name}={value}" for name, value in log.items()] if request_log else []
    given += [f"--workers={workers}"]
    given += [f"--features={features.absolute()}"] if features else []
    given += [f"--grpc-port={grpc_port}"] if grpc_port is not None else []
    raise typer.Exit(server.serve(locations.absolute(root or str(find_workspace(home).serving)), host, port, given))
