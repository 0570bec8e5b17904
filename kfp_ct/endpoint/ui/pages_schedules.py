"""Pages about schedules, and what starts runs by itself on this machine."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import clock, listing, store_experiments, store_recurring, store_runs
from kfp_ct.endpoint.store.database import moment
from kfp_ct.endpoint.store.faults import not_found
from kfp_ct.endpoint.store.tables import runs
from kfp_ct.endpoint.ui import pages_pipelines, pages_runs, shell
from kfp_ct.pages.html import Html, badge, code, facts, join, muted, note, paragraph, section, table
from kfp_ct.report import words
from kfp_ct.report.parts import pairs

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@router.get("/schedules", response_class=HTMLResponse)
def every(ctx: Ctx, page_token: str = "") -> HTMLResponse:
    """Lists schedules with their last and next firing."""
    asked = listing.Asked(page_token, 100, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_recurring.RECURRING_RUNS, asked)
        pipelines = pages_pipelines.by_id(connection)
    page = shell.Page("Schedules", "Schedules", actions=[shell.button("/schedules/new", "New schedule", "main")])
    if not found.rows:
        line = join(
            ["Make one here, or declare them in a project's schedules.yaml and ", code("ct schedule apply flights")]
        )
        return shell.draw(page, shell.empty("No schedules yet.", line))
    rows = [
        [
            shell.link(f"/schedules/{row['id']}", row["name"]),
            _enabled(row),
            said(row["trigger"]),
            pipelines.get(row["pipeline_id"] or "", "a package"),
            shell.when(row["last_scheduled_at"]),
            _next(row),
            row["fired"],
            _switch(row),
        ]
        for row in found.rows
    ]
    headers = ["schedule", "state", "when", "pipeline", "last firing", "next firing", "fired", "switch"]
    pager = shell.pager("/schedules", {"page_token": page_token}, found.next_token, found.total, len(rows))
    return shell.draw(page, table(headers, rows), paragraph(muted("Times are UTC.")), pager)


@router.get("/schedules/{recurring_run_id}", response_class=HTMLResponse)
def one(ctx: Ctx, recurring_run_id: str) -> HTMLResponse:
    """Shows a schedule, when it fires, and its runs."""
    with ctx.database.reading() as connection:
        row = store_recurring.get(connection, recurring_run_id)
        pipelines = pages_pipelines.by_id(connection)
        group = store_experiments.get(connection, row["experiment_id"])
        of_it = runs.c.recurring_run_id == recurring_run_id
        recent = [dict(each) for each in connection.execute(
            sqlalchemy.select(runs).where(of_it).order_by(runs.c.scheduled_at.desc()).limit(50)
        ).mappings()]  # fmt: skip
    base = f"/schedules/{recurring_run_id}"
    page = shell.Page(
        row["name"], "Schedules", [("Schedules", "/schedules")], row["description"].partition("{")[0],
        [_switch(row, ""), shell.act(f"{base}/delete", "Delete", "danger", "Delete this schedule? Its runs stay.")],
        live=any(each["state"] in store_runs.ACTIVE for each in recent),
    )  # fmt: skip
    parts: list[Html] = [
        facts(
            {
                "state": _enabled(row),
                "next": _next(row),
                "last": shell.when(row["last_scheduled_at"]),
                "fired": row["fired"],
            }
        )
    ]
    if row["error"]:
        parts.append(note("bad", "The last firing started no run.", row["error"]))
    pipeline = pipelines.get(row["pipeline_id"] or "")
    version = row["version_id"] or "the newest at each firing"
    about: list[list[Any]] = [
        ["when", said(row["trigger"])],
        ["next firings", join([shell.when(each) for each in _following(row)], ", ") or None],
        ["pipeline", shell.link(f"/pipelines/{row['pipeline_id']}", pipeline) if pipeline else muted("a package")],
        ["version", version if pipeline else None],
        ["experiment", group["name"]],
        ["at most at once", row["max_concurrency"]],
        ["missed firings", "only the latest" if row["no_catchup"] else "every one"],
    ]
    parts.append(section("What and when", pairs([each for each in about if each[1] is not None])))
    parts.append(section("Parameters", pages_runs.parameters(row["parameters"], row["parameters"])))
    rows = [
        [
            shell.link(f"/runs/{each['id']}", each["name"]),
            shell.state(each),
            shell.when(each["scheduled_at"]),
            pages_runs.took(each),
        ]
        for each in recent
    ]
    parts.append(
        section("Runs", table(["run", "state", "due", "took"], rows) if rows else paragraph(muted("None yet.")))
    )
    return shell.draw(page, *parts)


@router.post("/schedules/{recurring_run_id}/{action}")
def act(ctx: Ctx, recurring_run_id: str, action: str) -> RedirectResponse:
    """Enables, disables or deletes a schedule."""
    with ctx.database.writing() as connection:
        if action in ("enable", "disable"):
            store_recurring.enable(connection, recurring_run_id, enabled=action == "enable")
        elif action == "delete":
            store_recurring.delete(connection, recurring_run_id)
        else:
            raise not_found("action", action)
    ctx.wake.set()
    return RedirectResponse("/schedules" if action == "delete" else f"/schedules/{recurring_run_id}", 303)


def said(trigger: Mapping[str, Any]) -> Html:
    """Says when a trigger fires."""
    if trigger.get("cron_schedule"):
        return code(trigger["cron_schedule"]["cron"])
    return Html(f"every {words.seconds(float(trigger['periodic_schedule']['interval_second']))}")


def _enabled(row: Mapping[str, Any]) -> Html:
    if row["error"]:
        return badge("bad", "could not start")
    return badge("ok", "enabled") if row["enabled"] else muted("disabled")


def _switch(row: Mapping[str, Any], kind: str = "small") -> Html:
    action = "disable" if row["enabled"] else "enable"
    return shell.act(f"/schedules/{row['id']}/{action}", action.capitalize(), kind)


def _next(row: Mapping[str, Any]) -> Any:
    found = store_recurring.next_firing(row)
    return shell.when(moment(found)) if found else muted("none")


def _following(row: Mapping[str, Any], count: int = 5) -> list[str]:
    """Returns the next firings from now on."""
    if not row["enabled"]:
        return []
    now = datetime.datetime.now(datetime.UTC)
    last = store_recurring.next_firing(row)
    found: list[str] = []
    if last is not None and last < now:
        last = clock.due(row["trigger"], None, last, now, catch_up=False) or last
    while last is not None and len(found) < count:
        found.append(moment(last))
        last = clock.upcoming(row["trigger"], last, last)
    return found
