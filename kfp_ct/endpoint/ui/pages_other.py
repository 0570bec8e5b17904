"""Experiments, what watches have decided, the way in where a token is asked for, and the pages' own files."""

import dataclasses
import datetime
import hmac
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends, Form
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from kfp_ct.base.errors import CtError
from kfp_ct.endpoint.api import guard
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_experiments
from kfp_ct.endpoint.store.tables import runs
from kfp_ct.endpoint.ui import shell
from kfp_ct.pages.html import Html, badge, bullets, code, join, muted, note, paragraph, section, table
from kfp_ct.watch import decide, history, policy, watch

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_FILES = {"ui.js": "text/javascript", "icon.svg": "image/svg+xml"}
_SHOWN = 30


@router.get("/experiments", response_class=HTMLResponse)
def experiments(ctx: Ctx, page_token: str = "", archived: str = "") -> HTMLResponse:
    """Lists experiments."""
    table_of = store_experiments.EXPERIMENTS.table
    wanted = table_of.c.storage_state == ("ARCHIVED" if archived else "AVAILABLE")
    asked = listing.Asked(page_token, 100, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_experiments.EXPERIMENTS, asked, wanted)
        query = sqlalchemy.select(runs.c.experiment_id, sqlalchemy.func.count()).group_by(runs.c.experiment_id)
        counts = {row[0]: row[1] for row in connection.execute(query)}
    other = (
        shell.link("/experiments", "current ones")
        if archived
        else shell.link("/experiments?archived=1", "archived ones")
    )
    page = shell.Page("Experiments", "Experiments", subtitle=join(["What runs are grouped by. Show the ", other, "."]))
    if not found.rows:
        return shell.draw(page, shell.empty("None. The first run makes one."))
    action, word = ("unarchive", "Restore") if archived else ("archive", "Archive")
    rows = [
        [
            shell.link(f"/runs?experiment={row['id']}", row["name"]),
            row["description"] or None,
            counts.get(row["id"], 0),
            shell.when(row["last_run_created_at"]),
            shell.act(f"/experiments/{row['id']}/{action}", word, "small", f"{word} it with its runs?"),
        ]
        for row in found.rows
    ]
    pager = shell.pager("/experiments", {"page_token": page_token}, found.next_token, found.total, len(rows))
    return shell.draw(page, table(["experiment", "what for", "runs", "last run", "action"], rows), pager)


@router.post("/experiments/{experiment_id}/{action}")
def act(ctx: Ctx, experiment_id: str, action: str) -> RedirectResponse:
    """Archives or restores an experiment."""
    with ctx.database.writing() as connection:
        store_experiments.set_archived(connection, experiment_id, archived=action == "archive")
    return RedirectResponse("/experiments", 303)


@router.get("/triggers", response_class=HTMLResponse)
def triggers(ctx: Ctx, look: str = "") -> HTMLResponse:
    """Shows what may start runs by itself, what it has decided, and what it would decide now."""
    page = shell.Page("Triggers", "Triggers", subtitle="What starts runs by itself: pipelines/<project>/triggers.yaml.")
    parts = [_project(ctx, name, look == name) for name in ctx.workspace.projects()]
    found = [part for part in parts if part]
    return shell.draw(page, *(found or [shell.empty("No project has triggers.")]))


def _project(ctx: Context, name: str, look: bool) -> Html:
    path = ctx.workspace.root / "pipelines" / name / "triggers.yaml"
    if not path.is_file():
        return Html("")
    try:
        wanted = policy.load(path)
    except CtError as error:
        return section(name, note("bad", str(error)))
    limits = f"Cooldown {wanted.cooldown / 3600:g} h, at most {wanted.daily_budget} runs a day."
    rules = [[each.name, each.kind.replace("_", " "), _conditions(each)] for each in wanted.triggers]
    entries = history.read(history.path_of(ctx.workspace.home, name))[-_SHOWN:][::-1]
    fired = [
        [
            shell.when(entry.firing.at.isoformat()),
            _state(entry.firing.state),
            ", ".join(entry.firing.triggers),
            bullets(entry.reasons),
            shell.link(f"/runs/{entry.firing.run}", entry.firing.run) if entry.firing.run else None,
        ]
        for entry in entries
    ]
    drawn = (
        table(["when", "result", "trigger", "because", "run"], fired)
        if fired
        else paragraph(muted("It has started no run yet."))
    )
    asked = _decision(ctx, name) if look else paragraph(shell.button(f"/triggers?look={name}", "Look now", "small"))
    return section(name, paragraph(limits), table(["trigger", "kind", "when"], rules), asked, drawn)


def _conditions(trigger: policy.Trigger) -> Any:
    """Says what a trigger waits for, in the words of triggers.yaml."""
    if trigger.cron:
        return code(trigger.cron)
    fields = dataclasses.asdict(trigger)
    said = {each: value for each, value in fields.items() if each not in ("name", "kind", "cron") and value}
    defaults = dataclasses.asdict(policy.Trigger(trigger.name, trigger.kind))
    shown = [f"{each} {_plain(value)}" for each, value in said.items() if value != defaults[each]]
    return ", ".join(shown) or None


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value:g}"


def _decision(ctx: Context, name: str) -> Html:
    try:
        found = watch.look(watch.open_watch(ctx.workspace, name), datetime.datetime.now(datetime.UTC))
    except CtError as error:
        return note("bad", str(error))
    lines = [*(f"{who}: {why}" for who, why in zip(found.triggers, found.reasons, strict=True)), *found.holds]
    return note(
        "ok" if found.fire else "info", "It would start a run." if found.fire else "It would hold.", bullets(lines)
    )


def _state(state: str) -> Html:
    return {decide.SUCCEEDED: badge("ok", "succeeded"), decide.RUNNING: badge("warn", "running")}.get(
        state, badge("bad", "failed")
    )


@router.get("/static/ui.css")
def style() -> Response:
    """Returns the style sheet."""
    return Response(shell.style(), media_type="text/css", headers={"Cache-Control": "no-cache"})


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Returns one of the pages' own files."""
    if name not in _FILES:
        return Response(status_code=404)
    return FileResponse(shell.HERE / name, media_type=_FILES[name], headers={"Cache-Control": "no-cache"})


@router.get("/login", response_class=HTMLResponse)
def login() -> HTMLResponse:
    """Asks for the token."""
    return _ask_for_token()


@router.post("/login")
def enter(ctx: Ctx, token: Annotated[str, Form()] = "") -> Response:
    """Takes the token, and keeps it in a cookie that only this endpoint's pages send."""
    if not hmac.compare_digest(token.encode(), ctx.token.encode()):
        return _ask_for_token(shell.problem("that is not the token of this endpoint"), status=401)
    answer = RedirectResponse("/runs", 303)
    answer.set_cookie(guard.COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
    return answer


def _ask_for_token(*before: Html, status: int = 200) -> HTMLResponse:
    field = '<input type="password" name="token" autocomplete="current-password" required autofocus>'
    inside = f'<label>Token{field}</label><button class="main">Sign in</button>'
    form = Html(f'<form method="post" action="/login" class="filters">{inside}</form>')
    page = shell.Page("Sign in", "", subtitle="The token that ct up was started with: --token or $CT_TOKEN.")
    return shell.draw(page, *before, form, status=status)
