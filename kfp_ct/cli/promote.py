"""`ct promote` and `ct rollback`: a champion chosen by a person."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.cli import options, output, served_place
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.champions.promotion import Outcome


@exit_codes({2: "The version has no blessing, or an argument does not fit; nothing was changed."})
def promote(
    name: options.Model,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Version, as `ct models` lists it.")],
    reason: options.Reason = "",
    dry_run: options.DryRun = False,
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a blessed version the champion and serve it.

    A version without the blessing of every gate is refused. `ct rollback` undoes it. Where the settings have a release
    policy, the version is tried on live traffic first.
    """
    from kfp_ct.champions import promotion
    from kfp_ct.runs.record import user

    where = served_place.opened(name, registry, serving_root, settings, home)
    done = promotion.promote(where, name, version.removeprefix("v"), promotion.Person(user(), reason), dry_run)
    _show(name, done, dry_run, as_json)


@exit_codes({2: "There is no champion to return to, or an argument does not fit; nothing was changed."})
def rollback(
    name: options.Model,
    reason: options.Reason = "",
    dry_run: options.DryRun = False,
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Return to the champion before the present one.

    The registry and the prediction service change together.
    """
    from kfp_ct.champions import promotion
    from kfp_ct.runs.record import user

    where = served_place.opened(name, registry, serving_root, settings, home)
    done = promotion.rollback(where, name, promotion.Person(user(), reason), dry_run)
    _show(name, done, dry_run, as_json)


def _show(name: str, done: "Outcome", dry_run: bool, as_json: bool) -> None:
    move = done.move
    if done.release is not None and not as_json:
        print(f"{name} {done.release.title}; v{done.release.live} answers the rest; see ct release status {name}")
    elif as_json:
        output.print_json(
            {
                "model": name,
                **dataclasses.asdict(move),
                "changed": done.changed and not dry_run,
                **({"release": done.release} if done.release else {}),
            }
        )
    elif not done.changed:
        print(f"{name} v{move.version} is champion and served already; nothing to do")
    else:
        before = f"; v{move.before} until now" if move.before else ""
        print(f"{name} v{move.version} {'would be' if dry_run else 'is'} champion and served{before}")
