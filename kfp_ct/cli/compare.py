"""`ct compare`."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import completion, options, output
from kfp_ct.cli.exit_codes import exit_codes

if TYPE_CHECKING:
    from kfp_ct.runs.parity import Comparison, Difference
    from kfp_ct.runs.run_facts import RunFacts

_RUN = typer.Argument(
    metavar="RUN",
    help="A run here, as `ct runs` lists it, the beginning of its id, or `last`; or a service's: local:ID, kfp:ID, "
    "vertex:ID, with the name of the settings that say where the service is as kfp@NAME:ID.",
    autocompletion=completion.runs,
)
_LONGEST = 48


@exit_codes({0: "The runs are the same.", 1: "They differ, or there was nothing to compare."})
def compare(
    first: Annotated[str, _RUN],
    second: Annotated[str, _RUN],
    project: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Project whose settings say where services are.",
            show_default="the only one",
            autocompletion=completion.projects,
        ),
    ] = "",
    tolerance: Annotated[
        float, typer.Option(min=0, metavar="NUMBER", help="How far apart numbers of the same name may be.")
    ] = 0.0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Compare two runs, of here or `ct up`, KFP, Vertex AI.

    Inputs, fingerprints of the data, metrics and decisions decide whether they are the same. Where things lie, images
    and versions, what the cache answered and how fast machines are is shown, and decides nothing.
    """
    from kfp_ct.runs import parity

    if not math.isfinite(tolerance):
        raise UsageError(f"--tolerance {tolerance}\nexpected: a number of at least 0")
    runs = [_facts(each, project, home) for each in (first, second)]
    found = parity.compare(runs[0], runs[1], tolerance)
    if as_json:
        described = [{"run": each.run, "where": each.where, "state": each.state} for each in runs]
        output.print_json({"same": found.same, "runs": described, **vars(found)})
    else:
        _print(runs, found)
    if not found.same:
        raise typer.Exit(1)


def _facts(address: str, project: str, home: Any) -> "RunFacts":
    place, colon, run = address.partition(":")
    if colon:
        return _fetched(place, run, project)
    from kfp_ct.cli.why_not_cached import find_run
    from kfp_ct.local.package_run import find_workspace
    from kfp_ct.runs import record, run_facts

    found = record.load(find_run(find_workspace(home).runs, address))
    return run_facts.of_record(found, f"this machine ({found.environment})")


def _fetched(place: str, run: str, project: str) -> "RunFacts":
    from kfp_ct.cli.wait import service_settings
    from kfp_ct.deploy import kfp_run, target, vertex_run
    from kfp_ct.deploy.connect import open_target, require_service

    name, _, environment = place.partition("@")
    if name not in target.NAMES or not run:
        raise UsageError(
            f"{place}:{run} is no address of a run\nexpected: local:ID, kfp:ID or vertex:ID (kfp@SETTINGS:ID), or the "
            "id of a run here"
        )
    chosen = service_settings(project, environment or "local", name == target.LOCAL)
    service, _ = open_target(chosen, name, "", "")
    if name == target.VERTEX:
        return vertex_run.facts(service, run)
    require_service(service, name)
    return kfp_run.facts(service, run)


def _print(runs: "list[RunFacts]", found: "Comparison") -> None:
    from kfp_ct.cli.console import open_console

    console = open_console()
    for title, decides in (("differences", True), ("different, without deciding anything", False)):
        rows = [each for each in found.differences if each.decides is decides]
        if rows:
            console.print(f"{title}:", soft_wrap=True)
            console.print(_table(runs, rows))
    for line in found.not_told:
        console.print(f"not compared: {line}", soft_wrap=True, markup=False)
    told = "the same" if found.same else "different" if found.compared else "not compared: there is no result in both"
    console.print(f"{told}: {found.compared} results of both runs were compared", soft_wrap=True)


def _table(runs: "list[RunFacts]", rows: "list[Difference]") -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1))
    for heading in ("", "", *(f"{each.run}\n{each.where}" for each in runs)):
        table.add_column(heading, overflow="fold")
    for each in rows:
        table.add_row(each.section, each.name, _written(each.first), _written(each.second))
    return table


def _written(value: Any) -> Any:
    import json

    from rich.text import Text

    if value is None:
        return Text("(missing)", style="italic")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return Text(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
