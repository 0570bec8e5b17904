"""`ct trigger`: what starts builds."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.groups import family


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

    `git push ct main` then runs the builds whose triggers (infra/triggers) match that push. The other options are
    those of `ct build`, for every build of the remote; installing again replaces them.
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


git = family("Manage git remotes on this machine whose pushes run builds.", {"install": install})
app = family("Start builds by a push to a git remote on this machine.", {"git": git, "check": check})
