"""The page of one run: how it goes on, what it was given, where it comes from, and what can be done with it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import folders, ignored, store_experiments, store_pipelines, store_recurring, store_runs
from kfp_ct.endpoint.store.faults import Fault, not_found
from kfp_ct.endpoint.ui import command_runs, pipelines_page, response, version_notes
from kfp_ct.endpoint.ui.addresses import url
from kfp_ct.endpoint.ui.run_summary import RunSummary, summarise, task_seconds, task_state_word
from kfp_ct.report import dag
from kfp_ct.report.report import JSON, PAGE
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@dataclasses.dataclass(frozen=True)
class Step:
    """A task of the run as the table of steps shows it."""

    name: str
    state: str
    seconds: float | None
    summary: str


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a run comes from; empty texts where it does not come from such a thing, or that is gone."""

    version: str
    experiment_id: str
    experiment: str
    schedule: str
    commit: str
    code_version: str
    user: str


@router.get("/runs/{run_id}", response_class=HTMLResponse)
def show_run(ctx: Ctx, run_id: str) -> Response:
    """Shows a run as it goes on; one of `ct run` by its report."""
    if command_runs.folder_of(ctx.workspace, run_id):
        return RedirectResponse(url("runs", run_id, "report"), 303)
    folder = folders.of(ctx.workspace, run_id)
    account = folders.account(folder)
    with ctx.database.reading() as connection:
        row = store_runs.get(connection, run_id)
        summary = summarise(row, pipelines_page.names(connection))
        origin = _origin(connection, row, account)
    return response.page(
        "run.html",
        run=summary,
        row=row,
        here=ignored.of_run(row, folders.submitted(folder)),
        origin=origin,
        terminated=row["error"] == store_runs.TERMINATED,
        has_report=(folder / PAGE).exists(),
        has_card=(folder / JSON).exists() and bool(account and account.task("evaluate")),
        begun=account is not None,
        drawing=_drawing(summary, account) if account else "",
        steps=[_step(task) for task in account.tasks] if account else [],
        parameters=dict(sorted((account.parameters if account else row["parameters"]).items())),
        live=summary.active,
    )


def _drawing(run: RunSummary, account: record.Run) -> Any:
    links = {task.name: url("runs", run.id, "tasks", task.name) for task in account.tasks}
    return dag.draw(account.tasks, links)


def _step(task: record.Task) -> Step:
    summary = task.error.partition("\n")[0] or task.summary
    return Step(task.name, task_state_word(task), task_seconds(task), summary)


def _origin(connection: Connection, row: Mapping[str, Any], account: record.Run | None) -> Origin:
    return Origin(
        version=_version(connection, row),
        experiment_id=row["experiment_id"],
        experiment=store_experiments.name_of(connection, row["experiment_id"]),
        schedule=_schedule(connection, row),
        commit=account.commit if account else "",
        code_version=account.code_version if account else "",
        user=account.user if account else "",
    )


def _version(connection: Connection, row: Mapping[str, Any]) -> str:
    try:
        found = store_pipelines.version(connection, row["version_id"]) if row["version_id"] else None
    except Fault:  # deleted since
        return ""
    return version_notes.short(found["display_name"]) if found else ""


def _schedule(connection: Connection, row: Mapping[str, Any]) -> str:
    try:
        found = store_recurring.get(connection, row["recurring_run_id"]) if row["recurring_run_id"] else None
    except Fault:  # deleted since
        return ""
    return str(found["name"]) if found else ""


def folder_of(ctx: Context, run_id: str) -> Path:
    """Returns the folder of a run, of the API's or of `ct run`.

    Raises:
        Fault: There is no such run.
    """
    if folder := command_runs.folder_of(ctx.workspace, run_id):
        return folder
    with ctx.database.reading() as connection:
        store_runs.get(connection, run_id)
    return folders.of(ctx.workspace, run_id)


@router.get("/runs/{run_id}/report", response_class=HTMLResponse)
def show_report(ctx: Ctx, run_id: str) -> HTMLResponse:
    """Shows the run's report."""
    path = folder_of(ctx, run_id) / PAGE
    if not path.exists():
        raise not_found("report of run", run_id)
    headers = response.HEADERS | {"Content-Security-Policy": response.REPORT_POLICY}
    return HTMLResponse(path.read_text(), headers=headers)


@router.post("/runs/{run_id}/{action}")
def change_run(ctx: Ctx, run_id: str, action: str) -> RedirectResponse:
    """Terminates, retries, archives, restores or deletes a run."""
    with ctx.database.writing() as connection:
        if action == "terminate":
            store_runs.terminate(connection, run_id)
        elif action == "retry":
            store_runs.retry(connection, run_id)
        elif action in ("archive", "unarchive"):
            store_runs.set_archived(connection, run_id, archived=action == "archive")
        elif action == "delete":
            store_runs.delete(connection, ctx.workspace, run_id)
        else:
            raise not_found("action", action)
    ctx.wake.set()
    return RedirectResponse("/runs" if action == "delete" else url("runs", run_id), 303)
