"""`ct reproduce`."""

import dataclasses
from typing import Annotated

import typer

from kfp_ct.cli import options, output, served_place
from kfp_ct.cli.exit_codes import exit_codes


@exit_codes(
    {
        0: "It came out the same.",
        1: "It came out another one, or there was nothing to compare.",
        2: "Something that is needed was never recorded, or is gone.",
    }
)
def reproduce(
    name: options.Model,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Version, as `ct models` lists it.")],
    twice: Annotated[bool, typer.Option("--twice", help="Run it a second time, though the first is the same.")] = False,
    current_environment: Annotated[
        bool, typer.Option("--current-environment", help="Use the packages that are here, whatever the commit locks.")
    ] = False,
    registry: options.Registry = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Train a version again from its commit, and compare.

    Its commit is checked out in a place of its own, and its pipeline runs on the data, with the settings and packages,
    and against the champion of its run. Nothing is registered or served, and nobody is told. Where a fingerprint or a
    metric comes out another one, a second run measures chance, and what differs in data, files and packages is said.
    """
    from kfp_ct.cli.console import open_console
    from kfp_ct.reproduce import reproduce as reproducing

    console = open_console(stderr=as_json)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    place = served_place.opened(name, registry, "", settings, home)
    wish = reproducing.Wish(name, version.removeprefix("v"), twice, current_environment)
    found = reproducing.reproduce(place, wish, say)
    lines = list(reproducing.explained(found))
    if as_json:
        rows, causes = ([dataclasses.asdict(each) for each in several] for several in (found.rows, found.causes))
        told = {"run": found.recipe.run.id, "commit": found.recipe.commit, "dirty": found.recipe.is_dirty}
        output.print_json(
            {"same": found.same, "compared": found.compared, **told, "differences": rows, "causes": causes}
        )
    for line in lines:
        say(line)
    verdict = "the same" if found.same else "another one" if found.compared else "no result could be compared"
    say(f"{name} v{found.recipe.version.number} came out {verdict}: {found.compared} results were compared")
    if not found.same:
        raise typer.Exit(1)
