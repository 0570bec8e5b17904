"""`ct trigger`: what starts builds."""

from pathlib import Path
from typing import Annotated

import typer

from kfp_ct.base import errors
from kfp_ct.cli import build as build_command
from kfp_ct.project import workspace

app = typer.Typer(help="What starts builds: pushes to a git remote on this machine.", no_args_is_help=True)
git = typer.Typer(help="A git remote on this machine whose pushes run builds.", no_args_is_help=True)
app.add_typer(git, name="git")


@git.command()
def install(
    remote: Annotated[str, typer.Option(help="Name of the remote.")] = "ct",
    containers: build_command.Containers = None,
    substitutions: build_command.Substitutions = [],  # noqa: B006 - typer copies it
    images: build_command.Images = [],  # noqa: B006
    inputs: build_command.Inputs = [],  # noqa: B006
    environment: build_command.Environment = [],  # noqa: B006
    home: Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct].")] = None,
) -> None:
    """Make a remote: `git push ct main` then runs the builds whose triggers (infra/triggers) are for that push.

    The other options are those of `ct build`: what this machine has to say to every build. Again gives others.
    """
    from kfp_ct.ci.git import git_remote

    options = {
        "containers": containers,
        "substitutions": build_command.pairs(substitutions, "--substitutions"),
        "images": build_command.pairs(images, "--image"),
        "inputs": {name: str(file) for name, file in build_command.files(inputs).items()},
        "environment": build_command.pairs(environment, "--env"),
    }
    path = git_remote.install(workspace.find_workspace(home), remote, options)
    print(f"{path}: a push runs the builds of {git_remote.TRIGGERS}\ntry it: git push {remote} HEAD")


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Trigger files.")],
    ref: Annotated[str, typer.Option(help="Also say which are for a push to this ref.")] = "",
) -> None:
    """Say what gcloud would refuse in trigger files, and which of them a push would start."""
    from kfp_ct.ci.git.definition import parse

    for file in files:
        if not file.is_file():
            raise errors.UsageError(f"there is no file {file}")
        trigger = parse(file.read_text(), str(file))
        verdict = f", {'starts' if trigger.matches(ref, []) else 'does not start'} for {ref}" if ref else ""
        print(f"{file}: {trigger.name} runs {trigger.config}{verdict}")
