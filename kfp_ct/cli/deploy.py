"""`ct deploy`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.project.settings import Settings

NOWHERE = "none"  # for a build of which only the package is wanted


@exit_codes(
    {
        0: "The version is deployed; with --wait, its run succeeded too.",
        3: "The package is one that the KFP backend would refuse.",
        4: "The run failed.",
        7: "The service refused, failed or did not answer.",
        124: "The run was still going at --timeout; it goes on.",
    }
)
def deploy(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environment: options.Environment = "local",
    package: Annotated[
        Path | None, typer.Option(help="A compiled package to deploy.", show_default="compiled now")
    ] = None,
    images: options.BoundImages = [],  # noqa: B006 - typer copies it
    lock: Annotated[
        Path | None, typer.Option(help="Bind images as this lock file names them.", show_default="none")
    ] = None,
    commit: options.Commit = "",
    run: Annotated[bool, typer.Option("--run/--no-run", help="Start a run of the version.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Start a run and wait for its end.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait this long at most.", show_default="no limit")
    ] = None,
    cause: options.Cause = "on demand",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: options.Json = False,
) -> None:
    """Deploy a pipeline as a version named by its commit.

    The project's schedules follow it, with --wait if its run succeeds. Deploying the same commit again changes nothing.
    """
    if target == NOWHERE:
        print("{}" if as_json else "nothing is deployed: the target is none")
        return
    from kfp_ct.deploy import deploy as deploying
    from kfp_ct.deploy import progress, version
    from kfp_ct.deploy.connect import bound_images, open_target, require_service
    from kfp_ct.deploy.schedules import reconcile
    from kfp_ct.project import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace()
    chosen = settings.load(workspace, name, environment, {})
    service, experiment = open_target(chosen, target, host, auth)
    bound = bound_images(options.pairs(images, "--image"), lock, package)
    wanted = version.prepare(workspace, chosen, target, package, bound, commit)
    require_service(service, target)
    say = _say_on_stderr if as_json else _say
    _warn_of_missing(chosen, wanted.compiled, target)
    where, schedules = reconcile.schedules_for(service, chosen, target, experiment)
    if dry_run:
        lines = deploying.preview(service, wanted)
        _show(lines + reconcile.preview(workspace, where, schedules, chosen, wanted.name), as_json)
        return
    done = deploying.deploy(service, wanted, experiment, say)
    waiting = progress.for_target(target, timeout) if wait else None
    try:
        with reconcile.left_where_it_fails(say):
            if run or wait:
                deploying.start(service, wanted, done, say, waiting, cause)
        done.schedules = reconcile.reconcile(workspace, where, schedules, chosen, wanted.name, say)
    finally:
        if as_json:
            output.print_json(done)


def _warn_of_missing(chosen: "Settings", compiled: dict[str, Any], target: str) -> None:
    from kfp_ct.deploy.doctor.doctor import before_deploying

    for line in before_deploying(chosen, compiled, target):
        print(f"warning: {line}", file=sys.stderr, flush=True)


def _show(previewed: list[str], as_json: bool) -> None:
    if as_json:
        output.print_json(previewed)
    else:
        print("\n".join(previewed))


def _say(line: str) -> None:
    print(line, flush=True)


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
