"""`ct models`, `ct promote` and `ct rollback`: from a run to the service, by a person's word."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kfp_ct.base import errors
from kfp_ct.project import workspace

Name = Annotated[str, typer.Argument(help="Registered model, such as flights.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the registry.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and say what would be done; change nothing.")]
Registry = Annotated[str, typer.Option(help="MLflow tracking URI [default: the one of local runs].")]
ServingRoot = Annotated[Path | None, typer.Option(help="Served models [default: serving in the local state].")]
Home = Annotated[Path | None, typer.Option(help="Local state [default: $CT_HOME, else .ct in the repository].")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def models(
    name: Annotated[str | None, typer.Argument(help="Registered model [default: all].")] = None,
    history: Annotated[bool, typer.Option("--history", help="List what made which version the champion.")] = False,
    registry: Registry = "",
    serving_root: ServingRoot = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List registered versions: run, window, metric, blessing, and which is champion and served.

    A promote or rollback that was killed between its steps is finished first.
    """
    from kfp_ct.champions import listing, locations, promotion

    with locations.component_errors_as_cli_errors():
        where = locations.open_location(workspace.find_workspace(home), registry, serving_root)
        names = [name] if name else where.reader.models()
        for each in names:
            _finish(promotion, where, each)
        if history:
            moved = {each: listing.history(where, each) for each in names}
            _print(as_json, moved, [listing.moves_table(found) for found in moved.values()], names)
            return
        listed = [version for each in names for version in listing.versions(where, each)]
    _print(as_json, listed, [listing.table(listed)], names)
    for each in names:
        champion = next((one.version for one in listed if one.model == each and one.champion), "")
        if champion and not any(one.served and one.champion for one in listed if one.model == each):
            print(f"{each}: the champion is not what is served; fix: ct promote {each} {champion}", file=sys.stderr)


def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="Version, as `ct models` lists it.")],
    reason: Reason = "",
    dry_run: DryRun = False,
    registry: Registry = "",
    serving_root: ServingRoot = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a blessed version the champion and the served model; `ct rollback` goes back.

    A version without the blessing of every gate is refused.
    """
    from kfp_ct.champions import locations, promotion

    with locations.component_errors_as_cli_errors():
        where = locations.open_location(workspace.find_workspace(home), registry, serving_root)
        done = promotion.promote(where, name, version.removeprefix("v"), _person(promotion, reason), dry_run)
    _say(name, done, dry_run, as_json)


def rollback(
    name: Name,
    reason: Reason = "",
    dry_run: DryRun = False,
    registry: Registry = "",
    serving_root: ServingRoot = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Go back to the champion that the present one replaced, in the registry and in the service."""
    from kfp_ct.champions import locations, promotion

    with locations.component_errors_as_cli_errors():
        where = locations.open_location(workspace.find_workspace(home), registry, serving_root)
        done = promotion.rollback(where, name, _person(promotion, reason), dry_run)
    _say(name, done, dry_run, as_json)


def _person(promotion: Any, reason: str) -> Any:
    from kfp_ct.runs.record import user

    return promotion.Person(user(), reason)


def _finish(promotion: Any, where: Any, name: str) -> None:
    from kfp_ct.base.errors import ComponentError

    try:
        finished = promotion.finish(where, name)
    except (ComponentError, errors.CtError) as error:  # a list is still a list
        print(f"a move of {name} was cut off and cannot be finished: {error}", file=sys.stderr)
        return
    if finished:
        print(f"finished a {finished.kind} that was cut off: {name} v{finished.version}", file=sys.stderr)


def _say(name: str, done: Any, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"model": name, **dataclasses.asdict(done.move), "changed": done.changed and not dry_run}))
        return
    move = done.move
    if not done.changed:
        print(f"{name} v{move.version} is champion and served already; nothing to do")
        return
    before = f"; v{move.before} until now" if move.before else ""
    print(f"{name} v{move.version} {'would be' if dry_run else 'is'} champion and served{before}")


def _print(as_json: bool, found: Any, tables: list[Any], names: list[str]) -> None:
    from rich.console import Console

    if as_json:
        print(json.dumps(found, default=dataclasses.asdict, indent=1))
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    for table in tables:
        console.print(table)
    if not names:
        print("no models yet: a run that passes every gate registers one")
