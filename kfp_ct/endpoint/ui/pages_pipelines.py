"""Pages about pipelines and their versions."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_pipelines
from kfp_ct.endpoint.store.tables import pipelines, runs, versions
from kfp_ct.endpoint.ui import describe, shell
from kfp_ct.package import package
from kfp_ct.pages.html import Html, code, details, escape, facts, join, muted, paragraph, section, table
from kfp_ct.report import dag

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@router.get("/pipelines", response_class=HTMLResponse)
def every(ctx: Ctx, page_token: str = "") -> HTMLResponse:
    """Lists pipelines."""
    asked = listing.Asked(page_token, 50, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_pipelines.PIPELINES, asked)
        rows = [_row(connection, row) for row in found.rows]
    page = shell.Page("Pipelines", "Pipelines")
    if not rows:
        return shell.draw(page, shell.empty("No pipelines yet.", join(["Upload one: ", code("ct deploy flights")])))
    headers = ["pipeline", "newest version", "of", "versions", "last run", "state"]
    pager = shell.pager("/pipelines", {"page_token": page_token}, found.next_token, found.total, len(rows))
    return shell.draw(page, table(headers, rows), pager)


def _row(connection: Connection, row: Mapping[str, Any]) -> list[Any]:
    of_it = versions.c.pipeline_id == row["id"]
    count = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(versions).where(of_it)).scalar()
    query = sqlalchemy.select(versions.c.id, versions.c.name, versions.c.created_at).where(of_it)
    newest = connection.execute(query.order_by(versions.c.created_at.desc()).limit(1)).mappings().first()
    last = connection.execute(
        sqlalchemy.select(runs).where(runs.c.pipeline_id == row["id"]).order_by(runs.c.created_at.desc()).limit(1)
    ).mappings().first()  # fmt: skip
    base = f"/pipelines/{row['id']}"
    return [
        shell.link(base, row["display_name"]),
        shell.link(f"{base}/versions/{newest['id']}", _short(newest["name"])) if newest else None,
        shell.when(newest["created_at"]) if newest else None,
        count,
        shell.link(f"/runs/{last['id']}", last["name"]) if last else None,
        shell.state(dict(last)) if last else None,
    ]


@router.get("/pipelines/{pipeline_id}", response_class=HTMLResponse)
def one(ctx: Ctx, pipeline_id: str, page_token: str = "") -> HTMLResponse:
    """Shows a pipeline and its versions."""
    of_it = versions.c.pipeline_id == pipeline_id
    with ctx.database.reading() as connection:
        row = store_pipelines.pipeline(connection, pipeline_id)
        asked = listing.Asked(page_token, 50, "created_at desc")
        found = listing.page(connection, store_pipelines.VERSIONS_WITHOUT_PACKAGE, asked, of_it)
        query = sqlalchemy.select(runs.c.version_id, sqlalchemy.func.count()).group_by(runs.c.version_id)
        counted = connection.execute(query.where(runs.c.pipeline_id == pipeline_id))
        counts = {each[0]: each[1] for each in counted}
    rows = [_version_row(each, counts.get(each["id"], 0)) for each in found.rows]
    page = shell.Page(
        row["display_name"], "Pipelines", [("Pipelines", "/pipelines")], row["description"],
        [shell.button(f"/runs/new?pipeline={pipeline_id}", "New run", "main"),
         shell.button(f"/schedules/new?pipeline={pipeline_id}", "New schedule")],
    )  # fmt: skip
    if not rows:
        return shell.draw(page, shell.empty("This pipeline has no versions."))
    compare = '<p><button class="small">Compare the two that are marked</button></p>' if len(rows) > 1 else ""
    headers = ["version", "commit", "description", "created", "runs", "compare"]
    drawn = table(headers, rows, merge=0)
    pager = shell.pager(
        f"/pipelines/{pipeline_id}", {"page_token": page_token}, found.next_token, found.total, len(rows)
    )
    form = Html(f'<form action="/pipelines/{pipeline_id}/compare">{drawn}{compare}</form>')
    return shell.draw(page, section("Versions", form), pager)


def _version_row(row: Mapping[str, Any], count: int) -> list[Any]:
    words, said = describe.annotation(row["description"])
    commit = str(said.get("commit", ""))
    box = Html(f'<input type="checkbox" name="v" value="{row["id"]}" aria-label="compare {escape(row["name"])}">')
    href = f"/pipelines/{row['pipeline_id']}/versions/{row['id']}"
    name = shell.link(href, _short(row["display_name"]))
    return [name, code(commit[:10]) if commit else None, words or None, shell.when(row["created_at"]), count, box]


@router.get("/pipelines/{pipeline_id}/compare", response_class=HTMLResponse)
def compare(ctx: Ctx, request: Request, pipeline_id: str) -> HTMLResponse:
    """Shows in what two versions differ, the older one first."""
    wanted = request.query_params.getlist("v")
    with ctx.database.reading() as connection:
        row = store_pipelines.pipeline(connection, pipeline_id)
        pair = [store_pipelines.version(connection, each, pipeline_id) for each in wanted]
    trail = [("Pipelines", "/pipelines"), (row["display_name"], f"/pipelines/{pipeline_id}")]
    page = shell.Page("Compare versions", "Pipelines", trail)
    if len(pair) != 2:
        return shell.draw(page, shell.empty(f"{len(pair)} versions are marked: mark two."))
    before, after = sorted(pair, key=lambda each: each["created_at"])
    old, new = json.loads(before["spec"]), json.loads(after["spec"])
    heads = ["what", _short(before["name"]), _short(after["name"])]
    parts = [_settings(heads, before, after), _inputs(heads, old, new), _steps(heads, old, new)]
    lines = describe.difference(old, new)
    drawn = Html("".join(f'<span class="{_kind(line)}">{escape(line)}</span>' for line in lines))
    parts.append(
        section("Package", Html(f'<pre class="diff" tabindex="0">{drawn}</pre>') if lines else "No difference.")
    )
    return shell.draw(page, *parts)


def _kind(line: str) -> str:
    return {"+": "add", "-": "del", "@": "at"}.get(line[:1], "")


def _settings(heads: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> Html:
    old, new = (describe.annotation(each["description"])[1] for each in (before, after))
    rows = _changed(old, new)
    return section("Commit and settings", table(heads, rows)) if rows else Html("")


def _inputs(heads: list[str], old: package.Package, new: package.Package) -> Html:
    pair = [{each.name: each.default for each in describe.inputs(spec)} for spec in (old, new)]
    rows = _changed(*pair)
    return section("Inputs and their defaults", table(heads, rows) if rows else "The same.")


def _steps(heads: list[str], old: package.Package, new: package.Package) -> Html:
    pair = [
        {task.name: f"after {', '.join(task.upstream) or 'nothing'}" for task in describe.tasks(s)} for s in (old, new)
    ]
    images = [dict.fromkeys(package.images(spec), "used") for spec in (old, new)]
    rows = _changed(*pair) + _changed(*images)
    return section("Steps and images", table(heads, rows) if rows else "The same.")


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[list[Any]]:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [[name, shell.shown(old.get(name)), shell.shown(new.get(name))] for name in names]


@router.get("/pipelines/{pipeline_id}/versions/{version_id}", response_class=HTMLResponse)
def version(ctx: Ctx, pipeline_id: str, version_id: str) -> HTMLResponse:
    """Shows a version: its steps, inputs and settings."""
    with ctx.database.reading() as connection:
        parent = store_pipelines.pipeline(connection, pipeline_id)
        row = store_pipelines.version(connection, version_id, pipeline_id)
    compiled = json.loads(row["spec"])
    words, said = describe.annotation(row["description"])
    query = f"pipeline={pipeline_id}&version={version_id}"
    page = shell.Page(
        _short(row["display_name"]), "Pipelines",
        [("Pipelines", "/pipelines"), (parent["display_name"], f"/pipelines/{pipeline_id}")], words,
        [shell.button(f"/runs/new?{query}", "New run", "main"),
         shell.button(f"/schedules/new?{query}", "New schedule")],
    )  # fmt: skip
    tasks = describe.tasks(compiled)
    figures = {"steps": len(tasks), "inputs": len(package.inputs(compiled)), "created": shell.when(row["created_at"])}
    inputs = [
        [each.name, each.kind, muted("required") if each.required else shell.shown(each.default), each.help or None]
        for each in describe.inputs(compiled)
    ]
    parts = [facts(figures), Html(dag.draw(tasks))]
    parts += [section("Inputs", table(["input", "type", "default", "what it is"], inputs))] if inputs else []
    if said:
        parts.append(
            section("Commit and settings", table(["name", "value"], [[k, shell.shown(v)] for k, v in said.items()]))
        )
    parts.append(section("Images", *[paragraph(code(image)) for image in package.images(compiled)]))
    text = Html(f'<pre class="log" tabindex="0">{escape(package.dump(compiled))}</pre>')
    parts.append(section("Package", details("The compiled pipeline", text)))
    return shell.draw(page, *parts)


def by_id(connection: Connection) -> dict[str, str]:
    """Returns the names of all pipelines by id."""
    return {row.id: row.display_name for row in connection.execute(sqlalchemy.select(pipelines))}


def _short(name: str) -> str:
    """Shortens a commit; other names stay."""
    return name[:12] if len(name) == 40 and all(letter in "0123456789abcdef" for letter in name) else name
