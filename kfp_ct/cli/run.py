"""`ct run`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.base.errors import RunFailedError, UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.package.package import Package
    from kfp_ct.project.settings import Settings
    from kfp_ct.project.workspace import Workspace


_PipelineRoot = Annotated[
    str,
    typer.Option(
        metavar="URI",
        help="With --containers: hand artifacts on through this folder of an object store, such as s3://bucket/root; "
        "tasks see no folder of this machine.",
        show_default="the local state",
    ),
]


@exit_codes(
    {
        0: "The run reached its end, whether the model was blessed or refused (see --json).",
        4: "A step failed.",
        130: "The run was interrupted.",
    }
)
def run(
    name: options.ProjectOrPackage,
    window_start: options.WindowStart = None,
    window_end: options.WindowEnd = None,
    assignments: options.Assignments = [],  # noqa: B006 - typer copies it
    environment: options.Environment = "local",
    arguments: options.PackageArguments = None,
    cache: options.Cache = None,
    cause: options.Cause = "on demand",
    containers: Annotated[bool, typer.Option("--containers", help="Run every task in a container.")] = False,
    image: Annotated[str, typer.Option(help="Image of the tasks with --containers.")] = "kfp-ct-components:dev",
    pipeline_root: _PipelineRoot = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run a project's pipeline, or any package, on this machine.

    A project's run goes from data to a model that is blessed, registered and served, or refused with the reasons. A
    package's runs as kfp.local would run it. Both leave a record (`ct runs`) and a report.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.local import package_run, terminal_view
    from kfp_ct.local import run as runner
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    windows = {"window_start": window_start, "window_end": window_end}
    given = {key: value for key, value in windows.items() if value is not None}
    console = open_console(stderr=as_json)
    if package_run.is_file(name):
        _refuse_for_packages(given, environment, pipeline_root)
        compiled = package_run.load(Path(name))
        values = _package_values(compiled, arguments, assignments)
        wanted = package_run.PackageRequest(values, cause, containers, bool(cache))
        workspace = package_run.find_workspace(home)
        done = package_run.execute(workspace, compiled, wanted, console)
    else:
        _refuse_for_projects(arguments)
        workspace = find_workspace(home)
        overrides = given | dict(settings.parse_override(text) for text in assignments)
        image = image if containers else ""
        if pipeline_root:
            _require_no_disk(settings.load(workspace, name, environment, overrides), workspace, pipeline_root, image)
        request = runner.RunRequest(
            name, environment, overrides, cache is not False, cause, image, pipeline_root=pipeline_root
        )
        done = runner.execute(workspace, request, console)
    report = workspace.runs / done.id / "report.html"
    console.print(terminal_view.result(done, str(report)), soft_wrap=True)
    if as_json:
        output.print_json(done)
    if done.state != "SUCCEEDED":
        raise typer.Exit(RunFailedError.exit_code)


def _require_no_disk(chosen: "Settings", workspace: "Workspace", pipeline_root: str, image: str) -> None:
    """Refuses what tasks that see no folder of this machine could not do."""
    from kfp_ct.deploy import reachable
    from kfp_ct.storage import locations

    if not image:
        raise UsageError("--pipeline-root is for tasks in containers\nfix: add --containers, or leave it out")
    if not locations.is_remote(pipeline_root):
        raise UsageError(f"--pipeline-root {pipeline_root} is no object store\nexpected: s3://BUCKET/FOLDER or gs://…")
    locations.check(pipeline_root)
    reachable.require_no_folders(chosen, workspace)


def _refuse_for_packages(windows: Mapping[str, str], environment: str, pipeline_root: str) -> None:
    """Refuses options that only projects know: a package's inputs have values, no settings."""
    if pipeline_root:
        raise UsageError("--pipeline-root is for projects\nfix: leave it out")
    if windows or environment != "local":
        option = "--settings" if environment != "local" else f"--{min(windows).replace('_', '-')}"
        raise UsageError(f"{option} is for projects\nfix: give the package's inputs with --set NAME=VALUE")


def _refuse_for_projects(arguments: Path | None) -> None:
    if arguments:
        raise UsageError("--arguments is for packages\nfix: pass --set NAME=VALUE, or edit the project's settings")


def _package_values(compiled: "Package", file: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    from kfp_ct.package import argument_texts

    return {**(argument_texts.read_file(file) if file else {}), **argument_texts.read(compiled, assignments)}
