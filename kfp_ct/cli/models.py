"""`ct models`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.cli import options, output, served_place

if TYPE_CHECKING:
    from kfp_ct.champions.listing import Listed
    from kfp_ct.champions.locations import Location

WIDTH = 200  # of a file or a pipe: the table has many columns


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Registered model, such as flights.", show_default="all")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="List how each champion became one.")] = False,
    card: Annotated[
        str,
        typer.Option(
            "--card",
            metavar="VERSION",
            help="Print the model card that the registry keeps with a version.",
            show_default="list",
        ),
    ] = "",
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List the versions of registered models.

    Each with its run, window, metric and blessing, and whether it is the champion, served, or waits for approval. A
    promote, rollback or approval that was killed between its steps is finished first. --card prints the model card
    of one of them: Markdown, or the Model Card Toolkit's JSON with --json.
    """
    from kfp_ct.champions import listing

    if settings and not name:
        raise UsageError("--settings needs a model: projects have registries of their own\nfix: name the model")
    if card and history:
        raise UsageError("--card and --history are two lists\nexpected: one of them")
    where = served_place.opened(name or "", registry, serving_root, settings, home)
    if card:
        _print_card(where, name, card, as_json)
        return
    names = [name] if name else where.reader.models()
    for each in names:
        _finish(where, each)
    if history:
        moves = {each: listing.history_with_words(where, each) for each in names}
        _print(as_json, moves, [listing.moves_table(found) for found in moves.values()])
        return
    listed = [version for each in names for version in listing.versions(where, each)]
    _print(as_json, listed, [listing.table(listed)] if names else [])
    for each in names:
        _warn_if_not_served(each, [version for version in listed if version.model == each])


def _print_card(where: "Location", name: str | None, version: str, as_json: bool) -> None:
    from kfp_ct.champions import cards

    if not name:
        raise UsageError("--card needs a model: versions are numbered by model\nfix: name the model")
    print(cards.read(where, name, version.removeprefix("v"), "json" if as_json else "md"), end="")


def _finish(where: "Location", name: str) -> None:
    from kfp_ct.champions import approval, promotion

    where.reader.versions(name)  # a registry that does not answer is no interrupted move
    try:
        finished = promotion.finish(where, name)
        approved = approval.finish(where, name)
    except CtError as error:  # the list can be shown all the same
        print(f"a move of {name} was interrupted and cannot be finished: {error}", file=sys.stderr)
        return
    if finished:
        print(f"finished an interrupted {finished.kind}: {name} v{finished.version}", file=sys.stderr)
    if approved:
        print(f"did what was approved and interrupted: {name} v{approved.move.version}", file=sys.stderr)


def _print(as_json: bool, found: Any, tables: list[Any]) -> None:
    from kfp_ct.cli.console import open_console

    if as_json:
        output.print_json(found)
    elif tables:
        console = open_console(width=WIDTH)
        for table in tables:
            console.print(table)
    else:
        print("no models yet: a run that passes every gate registers one")


def _warn_if_not_served(name: str, versions: list["Listed"]) -> None:
    champion = next((each for each in versions if each.champion), None)
    if champion and not champion.served:
        print(f"{name}: the champion is not what is served; fix: ct promote {name} {champion.version}", file=sys.stderr)
