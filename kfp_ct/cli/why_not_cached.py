"""`ct why-not-cached`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import completion, options, output

if TYPE_CHECKING:
    from kfp_ct.runs.cache_misses import StepAccount

LAST = "last"
_NOT_RUN = {"CACHED": "served from the cache", "SKIPPED": "did not run", "PENDING": "has not begun"}


def why_not_cached(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run, as `ct runs` lists it, or `last`.", autocompletion=completion.runs),
    ],
    step: Annotated[str, typer.Argument(metavar="[STEP]", help="A step, such as train.", show_default="all")] = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Explain why steps of a run were not served from the cache.

    For every step that ran it names what differs from the last run of the pipeline whose result the cache has kept:
    files, parameters, inputs, packages.
    """
    from kfp_ct.project.workspace import find_workspace
    from kfp_ct.runs import cache_misses, record

    runs = find_workspace(home).runs
    found = record.load(find_run(runs, run))
    accounts = cache_misses.explain(found, runs)
    if step:
        accounts = [each for each in accounts if each.step == step.replace("_", "-")]
        if not accounts:
            names = ", ".join(task.name for task in found.tasks)
            raise UsageError(f"run {found.id} has no step {step!r}\nexpected: one of {names}")
    if as_json:
        output.print_json({"run": found.id, "steps": accounts})
    else:
        print(_text(found.id, accounts))


def find_run(runs: Path, name: str) -> Path:
    """Returns the folder of a run by its id, the beginning of it, or `last`."""
    known = sorted(path.parent for path in runs.glob("*/run.json"))
    if name == LAST and known:
        return known[-1]
    found = [path for path in known if path.name == name] or [path for path in known if path.name.startswith(name)]
    if len(found) != 1:
        problem = f"there is no run {name!r}" if not found else f"{len(found)} runs begin with {name!r}"
        raise UsageError(f"{problem} in {runs}\nexpected: the id of one, or `last`\nfix: see `ct runs`")
    return found[0]


def _text(run: str, accounts: "list[StepAccount]") -> str:
    lines = [f"run {run}"]
    width = max(len(each.step) for each in accounts)
    for each in accounts:
        told = [reason.text for reason in each.reasons] or [_NOT_RUN.get(each.state, each.state.lower())]
        against = f"  (compared with {each.compared_with})" if each.compared_with else ""
        lines.append(f"  {each.step:<{width}}  {told[0]}{against}")
        lines += [f"  {'':<{width}}  {text}" for text in told[1:]]
    return "\n".join(lines)
