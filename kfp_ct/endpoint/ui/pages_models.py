"""Registered models: which version is champion and served, and how another one takes its place."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kfp_ct.base.errors import CtError
from kfp_ct.champions import listing, locations, promotion
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store.faults import not_found, precondition
from kfp_ct.endpoint.ui import shell
from kfp_ct.pages.html import Html, badge, escape, join, muted, note, section, subsection, table
from kfp_ct.report import words
from kfp_ct.runs.record import user

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_HEADERS = [
    "version",
    "state",
    "blessed",
    "window",
    "metric",
    "value",
    "run",
    "registered",
    "last word",
    "make champion",
]


@router.get("/models", response_class=HTMLResponse)
def models(ctx: Ctx) -> HTMLResponse:
    """Lists models and their versions."""
    page = shell.Page("Models", "Models", actions=[shell.button("/models/mlflow", "Open MLflow")])
    if not (ctx.workspace.home / "registry" / "mlflow.db").exists():
        return shell.draw(page, shell.empty("No models yet. A run that passes every gate registers one."))
    try:
        where = locations.open_location(ctx.workspace, "", None)
        parts = [_model(where, name) for name in where.reader.models()]
    except CtError as error:
        parts = [note("bad", str(error))]
    return shell.draw(page, *(parts or [shell.empty("No models yet.")]))


def _model(where: locations.Location, name: str) -> Html:
    versions, moved = listing.versions(where, name), listing.history(where, name)
    parts = [table(_HEADERS, [_row(each) for each in versions], f"versions of {name}")]
    if begun := promotion.unfinished(where, name):
        said = f"A {begun.kind} to v{begun.version} was cut off; the next one, or `ct models`, finishes it."
        parts.insert(0, note("warn", said))
    if moved:
        rows = [
            [shell.when(each.at), each.kind, words.version(each.before) if each.before else None,
             words.version(each.version), each.by, each.why or None]
            for each in moved
        ]  # fmt: skip
        history = table(["when", "what", "from", "to", "by", "why"], rows, f"history of {name}")
        parts += [_why_form(f"/models/{name}/rollback", "Roll back")] if moved[0].before else []
        parts.append(subsection("What made which version the champion", history))
    return section(name, *parts)


def _row(each: listing.Listed) -> list[object]:
    marks = [badge("ok", word) for word, said in (("champion", each.champion), ("served", each.served)) if said]
    settled = each.champion and each.served
    form = _why_form(f"/models/{each.model}/promote", "Promote", each.version) if each.blessed and not settled else None
    return [
        words.version(each.version),
        join(marks, " ") if marks else None,
        badge("ok", "yes") if each.blessed else badge("bad", "no"),
        " to ".join(words.day(day) for day in each.window.split("/")).strip() or None,
        words.title(each.metric) if each.metric else None,
        words.metric(each.value),
        shell.link(f"/runs/{each.run}", each.run) if each.run else muted("by hand"),
        shell.when(each.registered),
        f"{each.by}: {each.why}" if each.why else each.by or None,
        form,
    ]


def _why_form(action: str, word: str, version: str = "") -> Html:
    hidden = f'<input type="hidden" name="version" value="{escape(version)}">' if version else ""
    label = f"why {word.lower()}{' v' + version if version else ''}"
    field = f'<input type="text" name="reason" placeholder="why" size="12" aria-label="{escape(label)}">'
    asked = f'data-confirm="{escape(word)}? The service switches at once; it can be undone."'
    button = f'<button class="small" {asked}>{escape(word)}</button>'
    return Html(f'<form method="post" action="{escape(action)}" class="inline">{hidden}{field} {button}</form>')


@router.get("/models/mlflow", response_class=HTMLResponse)
def mlflow(ctx: Ctx) -> Response:
    """Leads to MLflow's own UI over the registry, which is started when it is first asked for."""
    address = ctx.mlflow.address()
    if address:
        return RedirectResponse(f"{address}/#/models", 303)
    waiting = shell.empty("MLflow is starting; this page leads there when it answers.")
    return shell.draw(shell.Page("MLflow", "Models", [("Models", "/models")], live=True), waiting)


@router.post("/models/{name}/{action}")
def act(
    ctx: Ctx, name: str, action: str, version: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = ""
) -> RedirectResponse:
    """Promotes a version or rolls back; what was not blessed is refused, as everywhere."""
    person = promotion.Person(user(), reason.strip() or "by hand in the UI")
    try:
        where = locations.open_location(ctx.workspace, "", None)
        if action == "promote":
            promotion.promote(where, name, version, person)
        elif action == "rollback":
            promotion.rollback(where, name, person)
        else:
            raise not_found("action", action)
    except CtError as error:
        raise precondition(str(error)) from error
    return RedirectResponse("/models", 303)
