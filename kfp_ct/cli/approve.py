"""`ct approve` and `ct reject`: a person's word on a version that waits."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.cli import options, output, served_place
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.champions.locations import Location
    from kfp_ct.champions.promotion import Person

_VERSION = Annotated[str, typer.Argument(metavar="VERSION", help="Version, as `ct models` lists it.")]
_WHY = Annotated[str, typer.Option("--why", help="Why; recorded in the registry.", show_default="none")]
_BY = Annotated[str, typer.Option("--by", help="Who says so.", show_default="git's user.email, else the user here")]


@exit_codes({2: "The version has no blessing, the person has approved before, or an argument does not fit."})
def approve(
    name: options.Model,
    version: _VERSION,
    why: _WHY = "",
    by: _BY = "",
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Approve a version that waits for a person's word.

    The last approval needed promotes it. Where deploy asked for the approval, it is served as those settings say.
    Interrupted, the next approve, promote or ct models goes on.
    """
    from kfp_ct.champions import approval

    where = served_place.opened(name, registry, serving_root, settings, home)
    person = _person(where, by, why)
    done = approval.approve(where, name, version.removeprefix("v"), person)
    if as_json:
        output.print_json({"model": name, **dataclasses.asdict(done)})
    elif done.outcome is None:
        print(f"{name} v{done.standing.version} is {done.standing.title}")
    elif done.outcome.release is not None:
        release = done.outcome.release
        print(f"{name} {release.title}, {done.standing.title}; see ct release status {name}")
    else:
        print(f"{name} v{done.standing.version} is champion and served, {done.standing.title}")


@exit_codes({2: "There is no such version, or it is the champion; nothing was changed."})
def reject(
    name: options.Model,
    version: _VERSION,
    why: _WHY = "",
    by: _BY = "",
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Reject a version that waits for a person's word.

    Approvals so far no longer count.
    """
    from kfp_ct.champions import approval

    where = served_place.opened(name, registry, serving_root, settings, home)
    person = _person(where, by, why)
    word = approval.reject(where, name, version.removeprefix("v"), person)
    if as_json:
        output.print_json({"model": name, **dataclasses.asdict(word)})
    else:
        print(f"{name} v{word.version} is rejected by {word.by}; the champion stays")


def _person(where: "Location", by: str, why: str) -> "Person":
    from kfp_ct.champions.promotion import Person
    from kfp_ct.project.workspace import git
    from kfp_ct.runs.record import user

    return Person(by.strip() or git(where.workspace.root, "config", "user.email") or user(), why)
