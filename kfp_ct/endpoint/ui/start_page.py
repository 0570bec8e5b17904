"""Forms that start a run, now or on a schedule."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import store_recurring, store_runs
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.ui import input_fields, response, schedule_fields, start_source
from kfp_ct.endpoint.ui.addresses import url
from kfp_ct.endpoint.ui.input_fields import Field
from kfp_ct.endpoint.ui.package_inputs import inputs
from kfp_ct.endpoint.ui.start_source import LATEST, Source

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
RUNS, SCHEDULES = "runs", "schedules"


@dataclasses.dataclass(frozen=True)
class Filled:
    """A form: what it starts (runs or schedules), what was filled in, and what is wrong with that, both by field.

    The empty name stands for the form as a whole.
    """

    kind: str
    values: Mapping[str, str]
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)


@router.get("/runs/new", response_class=HTMLResponse)
def new_run(ctx: Ctx, pipeline: str = "", version: str = "", again: str = "") -> HTMLResponse:
    """Asks what to run: a pipeline and version first, then its inputs."""
    with ctx.database.reading() as connection:
        if again:
            row = store_runs.get(connection, again)
            values = {"name": row["name"], "experiment": row["experiment_id"]}
            values |= {input_fields.PREFIX + name: input_fields.as_text(v) for name, v in row["parameters"].items()}
            return _ask(connection, Filled(RUNS, values), start_source.of_run(connection, ctx.workspace, row))
        return _ask_or_choose(connection, Filled(RUNS, {}), pipeline, version)


@router.get("/schedules/new", response_class=HTMLResponse)
def new_schedule(ctx: Ctx, pipeline: str = "", version: str = "") -> HTMLResponse:
    """Asks what to run, and when."""
    with ctx.database.reading() as connection:
        return _ask_or_choose(connection, Filled(SCHEDULES, schedule_fields.EXAMPLE), pipeline, version or LATEST)


@router.post("/runs/new")
async def start_run(ctx: Ctx, request: Request) -> Response:
    """Starts a run, or says what is wrong with the form."""
    return _submit(ctx, RUNS, await _form(request))


@router.post("/schedules/new")
async def create_schedule(ctx: Ctx, request: Request) -> Response:
    """Creates a schedule, or says what is wrong with the form."""
    return _submit(ctx, SCHEDULES, await _form(request))


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _submit(ctx: Context, kind: str, form: Mapping[str, str]) -> Response:
    with ctx.database.writing() as connection:
        source = start_source.of_form(connection, ctx.workspace, form)
        values, problems = input_fields.read(inputs(source.package), form)
        if not form.get("name", "").strip():
            problems["name"] = "A name is required."
        if problems:
            return _ask(connection, Filled(kind, form, problems), source)
        wanted = dataclasses.replace(
            source.wanted, name=form["name"].strip(), experiment_id=form.get("experiment", ""), parameters=values,
            cause="started by hand in the UI",
        )  # fmt: skip
        try:
            place = _create(ctx, connection, wanted, schedule_fields.read(form) if kind == SCHEDULES else None)
        except Fault as fault:
            return _ask(connection, Filled(kind, form, {"": fault.message}), source)
    ctx.wake.set()
    return RedirectResponse(place, 303)


def _create(ctx: Context, connection: Connection, wanted: store_runs.Wanted, schedule: Mapping[str, Any] | None) -> str:
    """Creates a run or a schedule; returns the address of its page."""
    if schedule is None:
        return url(RUNS, store_runs.create(connection, ctx.workspace, wanted)["id"])
    return url(SCHEDULES, store_recurring.create(connection, wanted, schedule)["id"])


def _ask_or_choose(connection: Connection, filled: Filled, pipeline: str, version: str) -> HTMLResponse:
    if pipeline:
        return _ask(connection, filled, start_source.of_pipeline(connection, pipeline, version))
    return response.page("start_choice.html", kind=filled.kind, pipelines=start_source.pipelines(connection))


def _ask(connection: Connection, filled: Filled, source: Source) -> HTMLResponse:
    general = [
        Field("name", "Name", filled.values.get("name", source.name), problem=filled.problems.get("name", "")),
        _experiment(connection, filled.values),
    ]
    return response.page(
        "start.html",
        400 if filled.problems else 200,
        kind=filled.kind,
        source=source,
        versions=start_source.versions(connection, source.pipeline, newest_too=filled.kind == SCHEDULES),
        general=general,
        timing=schedule_fields.fields(filled.values) if filled.kind == SCHEDULES else [],
        inputs=input_fields.fields(inputs(source.package), filled.values, filled.problems),
        problem=filled.problems.get("", ""),
        has_problems=bool(filled.problems),
    )


def _experiment(connection: Connection, values: Mapping[str, str]) -> Field:
    options = [("", "the default experiment"), *start_source.experiments(connection)]
    return Field("experiment", "Experiment", values.get("experiment", ""), control="choice", options=options)
