"""The `ct` command: thin over the functions of this package."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kfp_ct.base import errors
from kfp_ct.cli import build as build_command
from kfp_ct.cli import deploy as deploy_command
from kfp_ct.cli import endpoint as endpoint_command
from kfp_ct.cli import images as images_command
from kfp_ct.cli import models as models_command
from kfp_ct.cli import schedule as schedule_command
from kfp_ct.cli import triggers as triggers_command
from kfp_ct.cli import watch as watch_command
from kfp_ct.project import settings
from kfp_ct.project import workspace as project

app = typer.Typer(
    help="Continuous training of TensorFlow models on Kubeflow Pipelines: compile, run, serve.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command()(build_command.build)
app.command()(deploy_command.deploy)
app.add_typer(images_command.app, name="images")
app.add_typer(schedule_command.app, name="schedule")
app.add_typer(triggers_command.app, name="trigger")
app.command()(endpoint_command.up)
app.command()(models_command.models)
app.command()(models_command.promote)
app.command()(models_command.rollback)
app.command()(watch_command.watch)
app.command()(watch_command.why)


Project = Annotated[str, typer.Argument(help="Folder under pipelines/, such as flights.")]
Environment = Annotated[str, typer.Option("--settings", help="Settings file of the project: local, dev, prod.")]
Home = Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct in the repository].")]
Set = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Override a setting; dots reach inside.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


@app.command()
def run(
    name: Project,
    window_start: Annotated[str | None, typer.Option(help="First day of the data window (inclusive).")] = None,
    window_end: Annotated[str | None, typer.Option(help="Day after the window's last (exclusive).")] = None,
    assignments: Set = [],  # noqa: B006 - typer copies it
    environment: Environment = "local",
    cache: Annotated[bool, typer.Option(help="Reuse steps whose inputs have not changed.")] = True,
    cause: Annotated[str, typer.Option(help="Why this run happens; kept with the model.")] = "on demand",
    containers: Annotated[bool, typer.Option("--containers", help="Run every task in a container.")] = False,
    image: Annotated[str, typer.Option(help="The image for --containers.")] = "kfp-ct-components:dev",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run a project's pipeline on this machine, from data to a blessed, served model.

    Exit code 0 means the run reached its end, whether the model was blessed or refused (see --json);
    2 that nothing was started, 4 that a step failed, 130 that it was interrupted.
    """
    from kfp_ct.local import run as runner
    from kfp_ct.local import terminal_view

    workspace = project.find_workspace(home)
    windows = {"window_start": window_start, "window_end": window_end}
    overrides = {key: value for key, value in windows.items() if value is not None}
    overrides |= dict(settings.parse_override(text) for text in assignments)
    console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
    request = runner.Request(name, environment, overrides, cache, cause, image if containers else "")
    done = runner.execute(workspace, request, console)
    folder = workspace.runs / done.id
    console.print(terminal_view.result(done, str(folder / "report.html")), soft_wrap=True)
    if as_json:
        print(json.dumps(dataclasses.asdict(done), indent=1, default=str))
    if done.state != "SUCCEEDED":
        raise typer.Exit(errors.RunFailedError.exit_code)


@app.command("compile")
def compile_(
    name: Project,
    output: Annotated[Path, typer.Option("--output", "-o", help="Package to write.")] = Path("package.yaml"),
    images: Annotated[
        list[str],
        typer.Option("--image", metavar="NAME=REFERENCE", help="Bind an image, such as components=…@sha256:…."),
    ] = [],  # noqa: B006
    lock: Annotated[Path | None, typer.Option(help="Bind images as images.lock names them.")] = None,
    environment: Environment = "local",
    digests: Annotated[bool, typer.Option(help="Refuse images that are not named by digest.")] = False,
) -> None:
    """Compile a project's pipeline to a KFP package; the same sources give the same bytes."""
    from kfp_ct.local.run import compile_project
    from kfp_ct.package import check, package

    workspace = project.find_workspace()
    compiled = compile_project(workspace, settings.load(workspace, name, environment, {}))
    bound = dict(_image(text) for text in images)
    if lock:
        from kfp_ct.package.bind import read_lock

        used = package.logical_images(compiled)
        bound = {**{name: each for name, each in read_lock(lock).items() if name in used}, **bound}
    compiled = package.bind_images(compiled, bound)
    executors = check.check(compiled, digests)
    package.write_package(compiled, output)
    print(f"{output}: pipeline {compiled['pipelineInfo']['name']}, {executors} executors, checked")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A compiled package.")],
    digests: Annotated[bool, typer.Option(help="Also demand images by digest.")] = False,
) -> None:
    """Check a package by the rules of the KFP backend."""
    from kfp_ct.package import check as checker
    from kfp_ct.package import package

    if not file.is_file():
        raise errors.UsageError(f"there is no file {file}\nfix: make it with `ct compile`")
    executors = checker.check(package.load_package(file), digests)
    print(f"{file}: {executors} executors checked, nothing wrong")


@app.command()
def serve(
    root: Annotated[Path | None, typer.Option(help="Served models [default: serving in the local state].")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    request_log: Annotated[Path | None, typer.Option(help="Folder to log requests to, for monitoring.")] = None,
    sample: Annotated[float, typer.Option(min=0, max=1, help="Fraction of requests to log.")] = 1.0,
    max_mb: Annotated[int, typer.Option(min=1, help="Size of the request log; the oldest files go.")] = 1024,
    log_rows: Annotated[int, typer.Option(min=1, help="Rows until a file of the log is written,")] = 20_000,
    log_seconds: Annotated[int, typer.Option(min=1, help="or seconds until then.")] = 60,
    home: Home = None,
) -> None:
    """Serve deployed models over TF Serving's REST API; new versions are picked up as they appear."""
    from kfp_ct.local import serve as server

    settings_of_log = {"": request_log and request_log.absolute(), "-sample": sample, "-max-mb": max_mb,
                       "-rows": log_rows, "-seconds": log_seconds}  # fmt: skip
    options = [f"--request-log{name}={value}" for name, value in settings_of_log.items()] if request_log else []
    raise typer.Exit(server.serve(root or project.find_workspace(home).serving, host, port, options))


@app.command()
def runs(home: Home = None, as_json: Json = False) -> None:
    """List the runs on this machine, newest first."""
    from kfp_ct.runs import record

    workspace = project.find_workspace(home)
    found = record.load_all(workspace)
    if as_json:
        print(json.dumps([dataclasses.asdict(item) for item in found], indent=1, default=str))
        return
    table = Table(box=None, padding=(0, 1))
    for heading in ("run", "pipeline", "window end", "state", "blessed", "seconds", "cause"):
        table.add_column(heading, no_wrap=heading == "run", min_width=20 if heading == "run" else None, overflow="fold")
    for item in found:
        table.add_row(*_row(item))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(table if found else "no runs yet: start one with `ct run flights`")


@app.command()
def upload(
    files: Annotated[list[Path], typer.Argument(help="Files and folders to upload, such as package.yaml.")],
    to: Annotated[str, typer.Option(help="Folder in Cloud Storage, gs://bucket/folder.")],
) -> None:
    """Upload files and folders to a folder in Cloud Storage."""
    from kfp_ct.ci.cloudbuild import results

    if not to.startswith("gs://") or to.removeprefix("gs://").strip("/") == "":
        raise errors.UsageError(f"--to {to!r}\nexpected: gs://bucket/folder")
    if missing := [str(file) for file in files if not file.is_file() and not any(file.glob("**/*"))]:
        raise errors.UsageError(f"there is no file {missing[0]}")
    for place in results.to_bucket(files, to):
        print(place)


@app.command()
def builds(home: Home = None, as_json: Json = False) -> None:
    """List the builds on this machine, newest first."""
    from kfp_ct.ci.cloudbuild import record, view

    found = record.load_all(project.find_workspace(home).builds)
    if as_json:
        print(json.dumps([dataclasses.asdict(item) for item in found], indent=1))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(view.table(found) if found else "no builds yet: start one with `ct build`")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the project: a folder under pipelines/.")],
    data: Annotated[Path | None, typer.Option(help="CSV file to learn from [default: an invented sample].")] = None,
    label: Annotated[str, typer.Option(help="Column to predict.")] = "",
    task: Annotated[str, typer.Option(help="binary, multiclass or regression [default: what the label says].")] = "",
    time: Annotated[str, typer.Option(help="Column whose time orders the rows: the latest are held out.")] = "",
) -> None:
    """Make a project of a CSV file, beside flights: query, schema, features, model, gates, settings and tests."""
    from kfp_ct.new import project as maker
    from kfp_ct.new import words

    workspace = project.find_workspace()
    made = maker.make(workspace, maker.Request(name, data, label, time, task))
    Console(highlight=False).print(words.made(made, name), soft_wrap=True, markup=False)


@app.command("new-component")
def new_component(
    name: Annotated[str, typer.Argument(help="A verb: the component's folder under components/.")],
) -> None:
    """Make a component: interface, work, a test that fails until the work is written, and its entries."""
    from kfp_ct.new import component

    print(component.make(project.find_workspace(), name))


@app.command()
def setup(dev: Annotated[bool, typer.Option(help="Also what checks and tests need.")] = False) -> None:
    """Prepare both environments and the example data; does nothing when they are current."""
    from kfp_ct.project import environments

    raise typer.Exit(environments.main(["--dev"] if dev else []))


def _row(item: Any) -> list[str]:
    blessed = {True: "yes", False: "no", None: ""}[item.blessed]
    window = str(item.parameters.get("window_end", ""))
    return [
        item.id,
        f"{item.project}/{item.pipeline.rpartition('.')[2]}",
        window,
        item.state,
        blessed,
        f"{item.seconds:.1f}",
        item.cause,
    ]


def _image(text: str) -> tuple[str, str]:
    name, sign, reference = text.partition("=")
    if not sign or not reference:
        raise errors.UsageError(f"--image {text!r}\nexpected: --image NAME=REFERENCE")
    return name, reference


def main() -> None:
    """Runs the command; a user's mistake is one message and an exit code, never a traceback."""
    try:
        app()
    except errors.CtError as error:
        first, *rest = str(error).splitlines()
        print("\n".join([f"error: {first}", *(f"  {line}" for line in rest)]), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
