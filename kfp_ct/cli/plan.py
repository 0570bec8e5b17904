"""`ct plan` and `ct apply`: a project against a target."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.cli import completion, options, output
from kfp_ct.cli.deploy import NOWHERE
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.planning.project_plan import ProjectPlan, Request

_UNREACHABLE = {
    3: "A package is one that the KFP backend would refuse.",
    7: "The target refused, failed or did not answer.",
}
_Environments = Annotated[
    list[str],
    typer.Option(
        "--settings",
        metavar="NAME",
        help="Settings file of the project; repeatable, one for each pipeline. Those that schedules name come along.",
        autocompletion=completion.settings,
        show_default="local",
    ),
]
_Package = Annotated[
    Path | None,
    typer.Option(help="A compiled package of the first settings' pipeline.", show_default="compiled now"),
]
_Lock = Annotated[
    Path | None, typer.Option("--lock", help="Bind images as this lock file names them.", show_default="none")
]


@exit_codes(
    {
        0: "The plan is shown; with --check: nothing would change.",
        2: "With --check: something would change. With an error message: an argument or a setting does not fit.",
        **_UNREACHABLE,
    }
)
def plan(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environments: _Environments = [],  # noqa: B006 - typer copies it
    package: _Package = None,
    images: options.BoundImages = [],  # noqa: B006
    lock: _Lock = None,
    commit: options.Commit = "",
    check: Annotated[bool, typer.Option("--check", help="Exit with 2 if anything would change.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show what `ct apply` would change on a target.

    Versions of pipelines, settings they run with, schedules, triggers, release policy, how the model is served,
    notices: + is created, ~ changes, - is deleted. Nothing is changed.
    """
    from kfp_ct.planning import summary

    if _is_nowhere(target, as_json):
        return
    request = _request((name, target, host, auth), environments, (package, lock, images), commit)
    found = _open(request).plan()
    if as_json:
        output.print_json(found)
    else:
        print(summary.text(found))
    if check and found.changes:
        raise typer.Exit(2)


@exit_codes({0: "The target has what the files say.", **_UNREACHABLE})
def apply(
    name: options.Project,
    target: options.Target = "local",
    host: options.Host = "",
    auth: options.Auth = "",
    environments: _Environments = [],  # noqa: B006
    package: _Package = None,
    images: options.BoundImages = [],  # noqa: B006
    lock: _Lock = None,
    commit: options.Commit = "",
    as_json: options.Json = False,
) -> None:
    """Bring a target to what a project's files say.

    Does what `ct plan` shows, and nothing where nothing differs. Interrupted, the next one goes on. What the project
    did not make is left alone, and versions stay.
    """
    from kfp_ct.planning import summary

    if _is_nowhere(target, as_json):
        return
    request = _request((name, target, host, auth), environments, (package, lock, images), commit)
    opened = _open(request)
    found = opened.plan()
    if not as_json:
        print(summary.text(found), flush=True)
    if found.changes:
        opened.apply(lambda line: print(line, file=sys.stderr, flush=True))
    if as_json:
        output.print_json(found)


def _is_nowhere(target: str, as_json: bool) -> bool:
    if target == NOWHERE:
        print("{}" if as_json else "nothing is deployed: the target is none")
    return target == NOWHERE


def _request(
    place: tuple[str, str, str, str],
    environments: list[str],
    made: tuple[Path | None, Path | None, list[str]],
    commit: str,
) -> "Request":
    from kfp_ct.deploy.connect import bound_images
    from kfp_ct.planning.project_plan import Request

    package, lock, images = made
    bound = bound_images(options.pairs(images, "--image"), lock, package)
    return Request(*place, tuple(environments or ["local"]), package, bound, commit)


def _open(request: "Request") -> "ProjectPlan":
    from kfp_ct.deploy.doctor.doctor import before_deploying
    from kfp_ct.planning.project_plan import ProjectPlan
    from kfp_ct.project.workspace import find_workspace

    opened = ProjectPlan(find_workspace(), request)
    for chosen, each in zip(opened.chosen, opened.versions, strict=True):
        for line in before_deploying(chosen, each.compiled, request.target):
            print(f"warning: {line}", file=sys.stderr, flush=True)
    return opened
