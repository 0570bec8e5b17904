"""`ct release`: a candidate on live traffic."""

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output, served_place
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family

if TYPE_CHECKING:
    from kfp_ct.champions.locations import Location
    from kfp_ct.models.release_state import State

_HISTORY = Annotated[bool, typer.Option("--history", help="Show the releases before, too.")]


@exit_codes({})
def status(
    name: options.Model,
    history: _HISTORY = False,
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show a model's release: candidate, share, and what was found at every step."""
    from kfp_ct.models import release_state

    place = _place(name, serving_root, settings, home)
    root = str(place.serving_root)
    kept = release_state.read(root, name)
    found = [state for state in release_state.archived(root, name) if history and (not kept or state != kept.state)]
    found += [kept.state] if kept else []
    if as_json:
        output.print_json(found)
    elif not found:
        print(f"no release of {name} yet: settings with serving.release begin one when they deploy")
    else:
        print("\n\n".join(_text(state) for state in found))


@exit_codes({4: "The judge failed."})
def step(
    name: options.Model,
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Look at a running release once: hold, advance, promote or back out.

    `ct watch` does it at every look. Interrupted, it continues the next time.
    """
    from kfp_ct.releasing import step as stepping

    place = _place(name, serving_root, settings, home, registry)
    _show(name, stepping.step(place, name, stepping.judge_in(place.workspace)), as_json)


@exit_codes({2: "No release of the model runs; nothing was changed."})
def abort(
    name: options.Model,
    reason: options.Reason = "",
    registry: options.Registry = "",
    serving_root: options.ServingRoot = "",
    settings: options.ServedBy = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Back a running release out: the live version answers everything again."""
    from kfp_ct.releasing import step as stepping
    from kfp_ct.runs.record import user

    place = _place(name, serving_root, settings, home, registry)
    why = f"aborted by {user()}{f': {reason}' if reason else ''}"
    ended = stepping.open_releases(place, name).abort(name, why, datetime.datetime.now(datetime.UTC))
    _show(name, ended.state, as_json)


def _place(name: str, serving_root: str, settings: str, home: options.Home, registry: str = "") -> "Location":
    if serving_root and settings:
        raise UsageError("--serving-root and --settings both say where models are served\nfix: leave one of them out")
    return served_place.opened(name, registry, serving_root, settings, home)


def _show(name: str, state: "State | None", as_json: bool) -> None:
    if as_json:
        output.print_json(state)
    else:
        print(_text(state) if state else f"no release of {name} runs; nothing to do")


def _text(state: "State") -> str:
    if state.unfinished:
        heading = f"{state.model} {state.title}, step {state.step + 1}; v{state.live} answers the rest ({state.state})"
    else:
        heading = f"{state.model} v{state.candidate} {state.state.replace('_', ' ')}: {state.reason}"
    lines = [heading, f"  started {_time(state.started)}{f' by {state.by}' if state.by else ''}"]
    for done in state.steps:
        share = f"shadow {done['shadow']} %" if done["shadow"] else f"{done['percent']} %"
        lines += [f"  {_time(done['to'])}  {share}  {done['decision']}: {done['reason']}"]
        lines += _criteria(done["evidence"])
    if state.unfinished and state.look:
        lines += [f"  {_time(state.look['at'])}  {state.look['verdict']}: {state.look['reason']}"]
        lines += _criteria(state.look)
    return "\n".join(lines)


def _criteria(look: Mapping[str, Any]) -> list[str]:
    lines = []
    for found in look.get("criteria", ()):
        known = found["low"] is not None
        text = f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})" if known else "not known yet"
        lines.append(f"      {found['name']}: {text}, allowed {found['allowed']:.4g}")
    if unknown := look.get("unknown"):
        lines.append(f"      not in the log: {', '.join(unknown)}")
    return lines


def _time(text: str) -> str:
    return text[:16].replace("T", " ")


app = family("Release candidates on live traffic, by evidence.", {"status": status, "step": step, "abort": abort})
