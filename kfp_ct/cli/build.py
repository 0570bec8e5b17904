"""`ct build`: a Cloud Build configuration on this machine."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kfp_ct.base.errors import UsageError
from kfp_ct.project import workspace as project

if TYPE_CHECKING:
    from kfp_ct.ci.cloudbuild.document import Document
    from kfp_ct.ci.cloudbuild.problems import Problem

Substitutions = Annotated[
    list[str], typer.Option("--substitutions", metavar="_KEY=VALUE,…", help="Values of substitutions.")
]
Containers = Annotated[
    bool | None, typer.Option(help="Steps in containers, or on this machine [default: where an engine answers].")
]
Images = Annotated[
    list[str], typer.Option("--image", metavar="NAME=REFERENCE", help="Use another image in place of one named.")
]
Inputs = Annotated[
    list[str], typer.Option("--input", metavar="PATH=FILE", help="Put a file that is in no commit there.")
]
Environment = Annotated[
    list[str], typer.Option("--env", metavar="KEY=VALUE", help="A variable of this machine that every step sees.")
]


def build(
    more: Annotated[list[Path], typer.Argument(metavar="[FILE]...", help="Further files for --check.")] = [],  # noqa: B006
    config: Annotated[Path, typer.Option(help="Build configuration, below the source.")] = Path("cloudbuild.yaml"),
    source: Annotated[Path | None, typer.Option(help="Folder to build [default: the repository].")] = None,
    commit: Annotated[str, typer.Option(help="Commit to build instead of the files as they lie there.")] = "",
    substitutions: Substitutions = [],  # noqa: B006 - typer copies it
    only: Annotated[list[str], typer.Option(help="Run this step and no other; may be repeated.")] = [],  # noqa: B006
    first: Annotated[
        str, typer.Option("--from", help="Begin with this step; what it waits for is taken as done.")
    ] = "",
    containers: Containers = None,
    images: Images = [],  # noqa: B006
    inputs: Inputs = [],  # noqa: B006
    environment: Environment = [],  # noqa: B006
    project_id: Annotated[str, typer.Option("--project", help="What $PROJECT_ID is.")] = "local",
    check_only: Annotated[list[Path], typer.Option("--check", help="Only say what is wrong with this file.")] = [],  # noqa: B006
    cause: Annotated[str, typer.Option(help="Why this build happens.")] = "on demand",
    home: Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct].")] = None,
) -> None:
    """Run a Cloud Build configuration on this machine, as Cloud Build would.

    Exit code 0 means every step ran and went well; 2 that Cloud Build would refuse the configuration, 4 that a
    step failed, 5 that this machine could not run everything, 130 that it was interrupted.
    """
    from kfp_ct.ci.cloudbuild import build as builder

    if check_only:
        raise typer.Exit(check([*check_only, *more]))
    if more:
        raise UsageError(
            f"what is {more[0]} for?\nexpected: --config {more[0]} to run it, --check {more[0]} to check it"
        )
    workspace = project.find_workspace(home)
    request = builder.Request(
        config, source or workspace.root, commit, pairs(substitutions, "--substitutions"), tuple(only), first,
        containers, pairs(images, "--image"), project_id, cause=cause,
        inputs=files(inputs), environment=pairs(environment, "--env"),
    )  # fmt: skip
    console = Console(highlight=False)
    done = builder.run(workspace, request, console)
    console.print(builder.closing(done, workspace.builds / done.id), soft_wrap=True)
    raise typer.Exit(builder.exit_code(done))


def check(paths: Sequence[Path]) -> int:
    """Examines configurations and prints what is wrong, by file and line; returns the exit code."""
    refused = 0
    for path in paths:
        document, problems = _examined(path)
        for problem in problems:
            kind = "error" if problem.fatal else "note"
            first, *rest = problem.message.splitlines()
            print("\n".join([f"{path}:{problem.line}: {kind}: {first}", *(f"  {line}" for line in rest)]))
        if any(problem.fatal for problem in problems):
            refused += 1
        else:
            steps = len(document.tree.get("steps", []))
            refusing = sorted({problem.by for problem in problems if problem.by})
            but = f", but {' and '.join(refusing)} would refuse it as it is" if refusing else ""
            print(f"{path}: {steps} steps checked, nothing wrong{but}")
    if refused:
        print(f"error: Cloud Build would refuse {refused} of {len(paths)} files", file=sys.stderr)
    return UsageError.exit_code if refused else 0


def _examined(path: Path) -> tuple["Document", list["Problem"]]:
    """Examines one file; one that cannot be read has that for its problem, so that the others are examined still."""
    from kfp_ct.ci.cloudbuild import config, document, problems

    try:
        return config.examine(config.read_text(path))
    except problems.InvalidBuildError as error:
        cause = error.__cause__
        why = cause.strerror if isinstance(cause, OSError) else cause
        message = f"it cannot be read: {why}\nexpected: a cloudbuild.yaml"
        return document.Document({}, {}), [problems.Problem(1, message)]


def files(texts: Sequence[str]) -> dict[str, Path]:
    """Reads --input: path in the workspace to a file of this machine."""
    return {name: Path(file).absolute() for name, file in pairs(texts, "--input").items()}


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Reads KEY=VALUE,KEY=VALUE as gcloud writes them.

    Raises:
        UsageError: A part is no KEY=VALUE.
    """
    found = {}
    for text in texts:
        for part in text.split(","):
            key, sign, value = part.partition("=")
            if not sign or not key:
                raise UsageError(f"{option} {part!r}\nexpected: {option} KEY=VALUE,OTHER=VALUE")
            found[key.strip()] = value
    return found
