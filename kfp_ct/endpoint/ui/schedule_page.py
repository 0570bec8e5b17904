"""The page of one schedule: when it fires, what it starts, and the runs it has started."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import clock, store_experiments, store_pipelines, store_recurring
from kfp_ct.endpoint.store.database import moment
from kfp_ct.endpoint.store.faults import Fault, not_found
from kfp_ct.endpoint.store.tables import runs
from kfp_ct.endpoint.ui import pipelines_page, response, version_notes
from kfp_ct.endpoint.ui.addresses import url
from kfp_ct.endpoint.ui.run_summary import summarise
from kfp_ct.endpoint.ui.schedules_page import next_firing

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_MOST_RUNS, _MOST_FIRINGS = 50, 5


@router.get("/schedules/{recurring_run_id}", response_class=HTMLResponse)
def show_schedule(ctx: Ctx, recurring_run_id: str) -> HTMLResponse:
    """Shows a schedule."""
    of_it = runs.c.recurring_run_id == recurring_run_id
    recent = sqlalchemy.select(runs).where(of_it).order_by(runs.c.scheduled_at.desc()).limit(_MOST_RUNS)
    with ctx.database.reading() as connection:
        row = store_recurring.get(connection, recurring_run_id)
        names = pipelines_page.names(connection)
        experiment = store_experiments.name_of(connection, row["experiment_id"])
        version = _version(connection, row)
        started = [summarise(dict(each), names) for each in connection.execute(recent).mappings()]
    return response.page(
        "schedule.html",
        schedule=row,
        description=version_notes.read_description(row["description"])[0],
        experiment=experiment,
        pipeline=names.get(row["pipeline_id"] or "", ""),
        version=version,
        next=next_firing(row),
        firings=_following(row),
        runs=started,
        live=any(run.active for run in started),
    )


@router.post("/schedules/{recurring_run_id}/{action}")
def change_schedule(ctx: Ctx, recurring_run_id: str, action: str) -> RedirectResponse:
    """Enables, disables or deletes a schedule."""
    with ctx.database.writing() as connection:
        if action in ("enable", "disable"):
            store_recurring.enable(connection, recurring_run_id, enabled=action == "enable")
        elif action == "delete":
            store_recurring.delete(connection, recurring_run_id)
        else:
            raise not_found("action", action)
    ctx.wake.set()
    return RedirectResponse("/schedules" if action == "delete" else url("schedules", recurring_run_id), 303)


def _version(connection: Connection, row: Mapping[str, Any]) -> str:
    """Returns the name of the version it runs; empty for the latest one, and if it is gone."""
    try:
        found = store_pipelines.version(connection, row["version_id"]) if row["version_id"] else None
    except Fault:  # deleted since
        return str(row["version_id"])
    return version_notes.short(found["display_name"]) if found else ""


def _following(row: Mapping[str, Any]) -> list[str]:
    """Returns the next firings from now on."""
    if not row["enabled"]:
        return []
    now = datetime.datetime.now(datetime.UTC)
    last = store_recurring.next_firing(row)
    found: list[str] = []
    if last is not None and last < now:
        last = clock.due(row["trigger"], None, last, now, catch_up=False) or last
    while last is not None and len(found) < _MOST_FIRINGS:
        found.append(moment(last))
        last = clock.upcoming(row["trigger"], last, last)
    return found
