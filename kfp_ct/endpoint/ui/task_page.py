"""The page of one task of a run: its inputs, its outputs, its log."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import artifacts, folders, store_runs
from kfp_ct.endpoint.store.faults import Fault, not_found
from kfp_ct.endpoint.ui import artifact_view, response
from kfp_ct.endpoint.ui.run_summary import task_seconds, task_state_word
from kfp_ct.endpoint.ui.task_inputs import task_inputs
from kfp_ct.runs import record
from kfp_ct.runs.events import State

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_TAIL = 64 << 10
# What a task wrote is shown as it would be from a file that came by mail: no scripts, nothing from elsewhere.
_SANDBOX = response.HEADERS | {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact that a task wrote: its type without KFP's prefix, its URI, and whether this machine has it."""

    name: str
    type: str
    uri: str
    here: bool
    views: list[artifact_view.View]


@dataclasses.dataclass(frozen=True)
class Log:
    """The end of a task's log, and how large all of it is."""

    text: str
    kibibytes: int
    cut: bool


@router.get("/runs/{run_id}/tasks/{name}", response_class=HTMLResponse)
def show_task(ctx: Ctx, run_id: str, name: str) -> HTMLResponse:
    """Shows a task."""
    row, account, task = _find(ctx, run_id, name)
    folder = folders.of(ctx.workspace, run_id)
    goes_on = task.state in (State.PENDING, State.RUNNING) and row["state"] in store_runs.ACTIVE
    return response.page(
        "task.html",
        run=row,
        task=task,
        state_word=task_state_word(task),
        seconds=task_seconds(task),
        inputs=task_inputs(folders.submitted(folder), account, name),
        artifacts=[_artifact(ctx, run_id, task, each) for each in task.artifacts],
        log=_log(folder / "logs" / f"{name}.log"),
        live=goes_on,
    )


@router.get("/runs/{run_id}/tasks/{name}/log", response_class=PlainTextResponse)
def show_log(ctx: Ctx, run_id: str, name: str) -> PlainTextResponse:
    """Returns a task's log."""
    _find(ctx, run_id, name)
    path = folders.of(ctx.workspace, run_id) / "logs" / f"{name}.log"
    if not path.exists():
        raise not_found("log of task", name)
    return PlainTextResponse(path.read_text(errors="replace"), headers={"X-Content-Type-Options": "nosniff"})


@router.get("/runs/{run_id}/tasks/{name}/artifacts/{artifact}/view", response_class=HTMLResponse)
def show_artifact(ctx: Ctx, run_id: str, name: str, artifact: str) -> HTMLResponse:
    """Returns a page that a task wrote."""
    path = artifacts.location(ctx.workspace, run_id, name, artifact)
    if not path.is_file():
        raise not_found("page", f"{name}/{artifact}")
    return HTMLResponse(path.read_text(errors="replace"), headers=_SANDBOX)


@router.get("/runs/{run_id}/tasks/{name}/artifacts/{artifact}/download")
def download_artifact(ctx: Ctx, run_id: str, name: str, artifact: str) -> Response:
    """Returns an artifact as a file."""
    content = artifacts.content(ctx.workspace, run_id, name, artifact)
    path = artifacts.location(ctx.workspace, run_id, name, artifact)
    file = f"{name}-{artifact}{'' if path.is_file() else '.tar.gz'}"
    disposition = f"attachment; filename*=UTF-8''{quote(file, safe='')}"
    headers = {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _find(ctx: Context, run_id: str, name: str) -> tuple[Any, record.Run, record.Task]:
    with ctx.database.reading() as connection:
        row = store_runs.get(connection, run_id)
    account = folders.account(folders.of(ctx.workspace, run_id))
    task = account.task(name) if account else None
    if account is None or task is None:
        raise not_found("task", name)
    return row, account, task


def _artifact(ctx: Context, run_id: str, task: record.Task, name: str) -> Artifact:
    artifact = task.artifacts[name]
    path: Path | None = None
    try:
        path = artifacts.location(ctx.workspace, run_id, task.name, name)
    except Fault:  # elsewhere, or nowhere
        path = None
    kind = str(artifact.get("type", "")).removeprefix("system.")
    uri = str(path or artifact.get("uri", ""))
    return Artifact(name, kind, uri, path is not None, artifact_view.views(artifact, path))


def _log(path: Path) -> Log | None:
    if not path.exists():
        return None
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        text = file.read().decode(errors="replace")
    return Log(text, size >> 10, size > _TAIL)
