"""The page of one task of a run: what it was given, what it made, what it said."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import artifacts, folders, store_runs
from kfp_ct.endpoint.store.faults import Fault, not_found
from kfp_ct.endpoint.ui import artifact_views, describe, shell
from kfp_ct.pages.html import Html, code, escape, facts, join, muted, paragraph, section, subsection, table
from kfp_ct.report import parts as parts_
from kfp_ct.report import words
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_TAIL = 64 << 10
# What a task wrote is shown as it would be from a file that came by mail: no scripts, nothing from elsewhere.
_SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            "X-Content-Type-Options": "nosniff"}  # fmt: skip


@router.get("/runs/{run_id}/tasks/{name}", response_class=HTMLResponse)
def one(ctx: Ctx, run_id: str, name: str) -> HTMLResponse:
    """Shows a task."""
    row, account, task = _find(ctx, run_id, name)
    folder = folders.of(ctx.workspace, run_id)
    trail = [("Runs", "/runs"), (row["name"], f"/runs/{run_id}")]
    page = shell.Page(
        name,
        "Runs",
        trail,
        task.summary,
        live=task.state in ("PENDING", "RUNNING") and row["state"] in store_runs.ACTIVE,
    )
    figures: dict[str, Any] = {"state": parts_.mark(task.state), "started": shell.when(task.started)}
    figures["took"] = words.seconds(task.seconds) if task.seconds else "–"
    parts: list[Html] = [facts(figures)]
    if task.error:
        parts.append(shell.problem(task.error))
    given = describe.task_inputs(folders.submitted(folder), account, name)
    rows = [[each, _shown(value), source] for each, value, source in given]
    parts.append(section("Given", table(["input", "value", "from"], rows) if rows else paragraph(muted("Nothing."))))
    parts.append(section("Made", *_made(ctx, run_id, task)))
    log = folder / "logs" / f"{name}.log"
    if log.exists():
        parts.append(
            section("Log", _tail(log), paragraph(shell.link(f"/runs/{run_id}/tasks/{name}/log", "the whole log")))
        )
    return shell.draw(page, *parts)


@router.get("/runs/{run_id}/tasks/{name}/log", response_class=PlainTextResponse)
def log(ctx: Ctx, run_id: str, name: str) -> PlainTextResponse:
    """Returns a task's log."""
    _find(ctx, run_id, name)
    path = folders.of(ctx.workspace, run_id) / "logs" / f"{name}.log"
    if not path.exists():
        raise not_found("log of task", name)
    return PlainTextResponse(path.read_text(errors="replace"), headers={"X-Content-Type-Options": "nosniff"})


@router.get("/runs/{run_id}/tasks/{name}/artifacts/{artifact}/view", response_class=HTMLResponse)
def view(ctx: Ctx, run_id: str, name: str, artifact: str) -> HTMLResponse:
    """Returns a page that a task wrote."""
    return HTMLResponse(artifacts.location(ctx.workspace, run_id, name, artifact).read_text(), headers=_SANDBOX)


@router.get("/runs/{run_id}/tasks/{name}/artifacts/{artifact}/download")
def download(ctx: Ctx, run_id: str, name: str, artifact: str) -> Response:
    """Returns an artifact as a file."""
    content = artifacts.content(ctx.workspace, run_id, name, artifact)
    path = artifacts.location(ctx.workspace, run_id, name, artifact)
    suffix = "" if path.is_file() else ".tar.gz"
    named = f'attachment; filename="{name}-{artifact}{suffix}"'
    return Response(content, media_type="application/octet-stream", headers={"Content-Disposition": named})


def _find(ctx: Context, run_id: str, name: str) -> tuple[Any, record.Run, record.Task]:
    with ctx.database.reading() as connection:
        row = store_runs.get(connection, run_id)
    account = folders.account(folders.of(ctx.workspace, run_id))
    task = account.task(name) if account else None
    if account is None or task is None:
        raise not_found("task", name)
    return row, account, task


def _made(ctx: Context, run_id: str, task: record.Task) -> list[Html]:
    rows = [[name, _shown(value)] for name, value in task.parameters.items()]
    parts = [table(["parameter", "value"], rows)] if rows else []
    for name, artifact in task.artifacts.items():
        try:
            path = artifacts.location(ctx.workspace, run_id, task.name, name)
        except Fault:
            path = None
        href = f"/runs/{run_id}/tasks/{task.name}/artifacts/{name}"
        about: list[Any] = [muted(str(artifact.get("type", "")).removeprefix("system."))]
        about += [" · ", code(str(path or artifact.get("uri", "")))]
        about += [" · ", shell.link(f"{href}/download", "download")] if path else []
        parts.append(subsection(name, paragraph(*about), artifact_views.draw(artifact, path, href)))
    return parts or [paragraph(muted("Nothing."))]


def _shown(value: Any) -> Any:
    return muted("not known yet") if value is None else shell.shown(value) if value != "" else muted("empty")


def _tail(path: Any) -> Html:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL))
        text = file.read().decode(errors="replace")
    cut: list[Html] = [paragraph(muted(f"The last {_TAIL >> 10} KiB of {size >> 10:,} KiB."))] if size > _TAIL else []
    return join([*cut, Html(f'<pre class="log" tabindex="0">{escape(text)}</pre>')])
