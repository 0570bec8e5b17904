"""`ct trigger`: what starts builds."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family

_WHY = Annotated[str, typer.Option("--why", help="Why; kept in the build's record.", show_default="none")]
_BY = Annotated[str, typer.Option("--by", help="Who says so.", show_default="git's user.email, else the user here")]


def install(
    remote: Annotated[str, typer.Option(help="Name of the remote.")] = "ct",
    containers: options.Containers = None,
    substitutions: options.Substitutions = [],  # noqa: B006 - typer copies it
    images: options.BuildImages = [],  # noqa: B006
    inputs: options.BuildInputs = [],  # noqa: B006
    environment: options.BuildEnvironment = [],  # noqa: B006
    home: options.Home = None,
) -> None:
    """Create a git remote whose pushes run builds.

    `git push ct main` then runs the builds whose triggers (infra/triggers) match that push; `git push ct
    HEAD:refs/for/main/TOPIC` is a pull request for main. A trigger with approvalRequired leaves a build that waits for
    `ct trigger approve`. The other options are those of `ct build`, for every build of the remote; installing again
    replaces them.
    """
    from kfp_ct.ci.git import git_remote
    from kfp_ct.project.workspace import find_workspace

    build_options = {
        "containers": containers,
        "substitutions": options.pairs(substitutions, "--substitutions"),
        "images": options.pairs(images, "--image"),
        "inputs": {name: str(file) for name, file in options.files(inputs).items()},
        "environment": options.pairs(environment, "--env"),
    }
    path = git_remote.install(find_workspace(home), remote, build_options)
    print(f"{path}: a push runs the builds of {git_remote.TRIGGERS}\ntry it: git push {remote} HEAD")


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Trigger files, such as those of infra/triggers.")
    ],
    ref: Annotated[
        str, typer.Option(help="Also say which triggers match a push to this ref.", show_default="none")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Check trigger files by gcloud's rules."""
    from kfp_ct.ci.git.definition import parse

    found = []
    for file in files:
        if not file.is_file():
            raise UsageError(f"there is no file {file}")
        trigger = parse(file.read_text(), str(file))
        starts = trigger.matches(ref, []) if ref else None
        found.append({"file": file, **dataclasses.asdict(trigger), "starts": starts})
        if not as_json:
            verdict = "" if starts is None else f", {'starts' if starts else 'does not start'} for {ref}"
            print(f"{file}: {trigger.name} runs {trigger.config}{verdict}")
    if as_json:
        output.print_json(found)


@exit_codes({0: "The build that was approved succeeded.", 4: "A step failed.", 130: "The build was interrupted."})
def approve(
    build: Annotated[str, typer.Argument(metavar="BUILD", help="Build that waits, as `ct builds` lists it.")],
    why: _WHY = "",
    by: _BY = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Approve a build that waits, and run it."""
    raise typer.Exit(_answer(build, "APPROVED", (by, why), home, as_json))


def reject(
    build: Annotated[str, typer.Argument(metavar="BUILD", help="Build that waits, as `ct builds` lists it.")],
    why: _WHY = "",
    by: _BY = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Reject a build that waits: it never runs."""
    _answer(build, "REJECTED", (by, why), home, as_json)


def _answer(build: str, state: str, person: tuple[str, str], home: options.Home, as_json: bool) -> int:
    """Notes a person's word, and runs the build if it was approved; returns the exit code."""
    from kfp_ct.ci.cloudbuild import approvals, record
    from kfp_ct.ci.cloudbuild import build as builder
    from kfp_ct.cli.console import open_console
    from kfp_ct.project.workspace import find_workspace, git
    from kfp_ct.runs.record import user

    workspace = find_workspace(home)
    by, why = person
    word = approvals.Word(state, by.strip() or git(workspace.root, "config", "user.email") or user(), why)
    console = open_console(stderr=as_json)
    code = 0
    with approvals.answered(workspace, build, word) as request:
        if request:
            done = builder.run(workspace, request, console)
            console.print(builder.closing(done, workspace.builds / done.id), soft_wrap=True)
            code = builder.exit_code(done)
    found = record.load(workspace.builds / build)
    if as_json:
        output.print_json(found)
    elif not code:
        print(f"build {build} is {found.status}, {state.lower()} by {word.by}")
    return code


git = family("Manage git remotes on this machine whose pushes run builds.", {"install": install})
app = family(
    "Start builds by a push to a git remote on this machine.",
    {"git": git, "check": check, "approve": approve, "reject": reject},
)
