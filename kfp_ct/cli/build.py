"""`ct build`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.ci.cloudbuild.build import BuildRequest
    from kfp_ct.ci.cloudbuild.problems import Problem
    from kfp_ct.project.workspace import Workspace


@exit_codes(
    {
        0: "Every step ran and succeeded.",
        2: "Cloud Build would refuse the configuration, or an argument does not fit; nothing was run.",
        4: "A step failed.",
        5: "This machine could not run everything.",
        130: "The build was interrupted.",
    }
)
def build(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="What --check checks.", show_default="what would run")
    ] = [],  # noqa: B006 - typer copies it
    config: Annotated[Path, typer.Option(help="Build configuration, a path in the source.")] = Path("cloudbuild.yaml"),
    source: Annotated[Path | None, typer.Option(help="Folder to build.", show_default="the repository")] = None,
    commit: Annotated[str, typer.Option(help="Commit to build.", show_default="the files as they are")] = "",
    substitutions: options.Substitutions = [],  # noqa: B006
    only: Annotated[
        list[str],
        typer.Option(metavar="STEP", help="Run only this step; repeatable.", show_default="all steps"),
    ] = [],  # noqa: B006
    first: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="STEP",
            help="Begin with this step; the steps that it waits for count as done.",
            show_default="the first step",
        ),
    ] = "",
    containers: options.Containers = None,
    images: options.BuildImages = [],  # noqa: B006
    inputs: options.BuildInputs = [],  # noqa: B006
    environment: options.BuildEnvironment = [],  # noqa: B006
    project_id: Annotated[str, typer.Option("--project", help="Value of $PROJECT_ID.")] = "local",
    check: Annotated[bool, typer.Option("--check", help="Check configurations and run nothing.")] = False,
    cause: options.Cause = "on demand",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run a Cloud Build configuration on this machine.

    Steps, substitutions, volumes, secrets and artifacts behave as on Cloud Build. With --check, files are checked
    by Cloud Build's rules and nothing is run.
    """
    from kfp_ct.ci.cloudbuild.build import BuildRequest
    from kfp_ct.project.workspace import find_workspace

    if check and files:
        raise typer.Exit(_check(files, as_json))
    if files:
        raise UsageError(
            f"what is {files[0]} for?\nexpected: --config {files[0]} to run it, --check {files[0]} to check it"
        )
    workspace = find_workspace(home)
    if check:
        raise typer.Exit(_check([Path(os.path.relpath((source or workspace.root) / config))], as_json))
    request = BuildRequest(
        config, source or workspace.root, commit, options.pairs(substitutions, "--substitutions"), tuple(only), first,
        containers, options.pairs(images, "--image"), project_id, cause=cause,
        inputs=options.files(inputs), environment=options.pairs(environment, "--env"),
    )  # fmt: skip
    raise typer.Exit(_run(workspace, request, as_json))


def _run(workspace: "Workspace", request: "BuildRequest", as_json: bool) -> int:
    """Runs the build and prints how it ended; returns the exit code."""
    from kfp_ct.ci.cloudbuild import build as builder
    from kfp_ct.cli.console import open_console

    console = open_console(stderr=as_json)
    done = builder.run(workspace, request, console)
    console.print(builder.closing(done, workspace.builds / done.id), soft_wrap=True)
    if as_json:
        output.print_json(done)
    return builder.exit_code(done)


def _check(paths: Sequence[Path], as_json: bool) -> int:
    """Prints what is wrong with configurations, by file and line; returns the exit code."""
    from kfp_ct.ci.cloudbuild import config

    examined = [(path, *config.examine_file(path)) for path in paths]
    if as_json:
        output.print_json([{"file": path, "problems": problems} for path, _, problems in examined])
    else:
        for path, document, problems in examined:
            _print_verdict(path, len(document.tree.get("steps", [])), problems)
    refused = sum(any(problem.fatal for problem in problems) for _, _, problems in examined)
    if refused:
        print(f"error: Cloud Build would refuse {refused} of {len(paths)} files", file=sys.stderr)
    return UsageError.exit_code if refused else 0


def _print_verdict(path: Path, steps: int, problems: Sequence["Problem"]) -> None:
    for problem in problems:
        first, *rest = problem.message.splitlines()
        kind = "error" if problem.fatal else "note"
        print("\n".join([f"{path}:{problem.line}: {kind}: {first}", *(f"  {line}" for line in rest)]))
    if not any(problem.fatal for problem in problems):
        refusing = sorted({problem.by for problem in problems if problem.by})
        but = f", but {' and '.join(refusing)} would refuse it as it is" if refusing else ""
        print(f"{path}: {steps} steps checked, nothing wrong{but}")
