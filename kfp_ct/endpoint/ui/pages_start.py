"""Forms that start a run, now or on a schedule."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import store_pipelines, store_recurring, store_runs
from kfp_ct.endpoint.store.faults import Fault
from kfp_ct.endpoint.store.tables import experiments, pipelines, versions
from kfp_ct.endpoint.ui import describe, forms, shell
from kfp_ct.pages.html import Html, escape, join, note, paragraph, section

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_LATEST = "latest"


@router.get("/runs/new", response_class=HTMLResponse)
def new_run(ctx: Ctx, pipeline: str = "", version: str = "", again: str = "") -> HTMLResponse:
    """Asks what to run: a pipeline and version first, then its inputs."""
    with ctx.database.reading() as connection:
        filled: dict[str, str] = {}
        if again:
            row = store_runs.get(connection, again)
            pipeline, version = row["pipeline_id"] or "", row["version_id"] or ""
            filled = {"name": row["name"], "experiment": row["experiment_id"]}
            filled |= {forms.PREFIX + name: _text(value) for name, value in row["parameters"].items()}
        return _ask(ctx, connection, "runs", pipeline, version, filled, {})


@router.get("/schedules/new", response_class=HTMLResponse)
def new_schedule(ctx: Ctx, pipeline: str = "", version: str = "") -> HTMLResponse:
    """Asks what to run, and when."""
    filled = {"cron": "0 30 4 * * *", "concurrency": "1"}
    with ctx.database.reading() as connection:
        return _ask(ctx, connection, "schedules", pipeline, version or _LATEST, filled, {})


@router.post("/runs/new")
async def start_run(ctx: Ctx, request: Request) -> Response:
    """Starts a run, or says what is wrong with the form."""
    return _submit(ctx, "runs", await _form(request))


@router.post("/schedules/new")
async def start_schedule(ctx: Ctx, request: Request) -> Response:
    """Makes a schedule, or says what is wrong with the form."""
    return _submit(ctx, "schedules", await _form(request))


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _submit(ctx: Context, kind: str, form: dict[str, str]) -> Response:
    pipeline, version = form.get("pipeline", ""), form.get("version", "")
    with ctx.database.writing() as connection:
        found = _version(connection, pipeline, version)
        inputs = describe.inputs(json.loads(found["spec"]))
        values, wrong = forms.read(inputs, form)
        if not form.get("name", "").strip():
            wrong["name"] = "a name is needed"
        if wrong:
            return _ask(ctx, connection, kind, pipeline, version, form, wrong)
        wanted = store_runs.Wanted(
            name=form["name"].strip(),
            experiment_id=form.get("experiment", ""),
            pipeline_id=pipeline,
            version_id="" if version == _LATEST else found["id"],
            parameters=values,
            cause="started by hand in the UI",
        )
        try:
            if kind == "runs":
                place = f"/runs/{store_runs.create(connection, ctx.workspace, wanted)['id']}"
            else:
                place = f"/schedules/{store_recurring.create(connection, wanted, _schedule(form))['id']}"
        except Fault as fault:
            return _ask(ctx, connection, kind, pipeline, version, form, {"": fault.message})
    ctx.wake.set()
    return RedirectResponse(place, 303)


def _schedule(form: Mapping[str, str]) -> dict[str, Any]:
    times = {name: form[name] for name in ("start_time", "end_time") if form.get(name)}
    if form.get("interval"):
        trigger = {"periodic_schedule": {"interval_second": form["interval"], **times}}
    else:
        trigger = {"cron_schedule": {"cron": form.get("cron", ""), **times}}
    most = form.get("concurrency", "")
    return {
        "trigger": trigger,
        "max_concurrency": int(most) if most.isdigit() else 0,
        "no_catchup": form.get("catchup") != "yes",
        "enabled": True,
    }


def _version(connection: Connection, pipeline: str, version: str) -> Mapping[str, Any]:
    if version and version != _LATEST:
        return store_pipelines.version(connection, version, pipeline)
    return store_pipelines.latest_version(connection, pipeline)


def _ask(
    ctx: Context, connection: Connection, kind: str, pipeline: str, version: str, filled: Mapping[str, str],
    wrong: Mapping[str, str],
) -> HTMLResponse:  # fmt: skip
    what = {"runs": "run", "schedules": "schedule"}[kind]
    page = shell.Page(f"New {what}", kind.capitalize(), [(kind.capitalize(), f"/{kind}")])
    if not pipeline:
        return shell.draw(page, _choose_pipeline(connection, kind))
    found = _version(connection, pipeline, version)
    parent = store_pipelines.pipeline(connection, pipeline)
    inputs = describe.inputs(json.loads(found["spec"]))
    hidden = f'<input type="hidden" name="pipeline" value="{escape(pipeline)}">'
    hidden += f'<input type="hidden" name="version" value="{escape(version or found["id"])}">'
    named = filled.get("name", parent["display_name"])
    general = [forms.line("name", "Name", named, wrong=wrong.get("name", "")), _experiments(connection, filled)]
    if kind == "schedules":
        general += _when(filled)
    body = [Html(hidden), section("What and where" if kind == "runs" else "What and when", join(general))]
    if inputs:
        help_ = "What is left as it is follows the pipeline's own defaults."
        if kind == "schedules":
            help_ += " In texts, [[ScheduledTime.2006-01-02]] is the day a run was due, [[Index]] its number."
        body.append(section("Inputs", paragraph(help_), forms.fields(inputs, filled, wrong)))
    verb = "Start the run" if kind == "runs" else "Make the schedule"
    body.append(Html(f'<p class="submit"><button class="main">{verb}</button></p>'))
    problem = [note("bad", wrong[""].splitlines()[0], Html(f"<pre>{escape(wrong[''])}</pre>"))] if wrong.get("") else []
    problem += [note("bad", "Nothing was started: see the fields below.")] if wrong and not problem else []
    form = Html(f'<form method="post" action="/{kind}/new">{join(body)}</form>')
    chosen = _versions(connection, kind, pipeline, version or found["id"])
    return shell.draw(page, *problem, chosen, form, status=400 if wrong else 200)


def _choose_pipeline(connection: Connection, kind: str) -> Html:
    rows = connection.execute(sqlalchemy.select(pipelines).order_by(pipelines.c.display_name)).mappings().all()
    if not rows:
        return shell.empty("No pipelines yet: there is nothing to run.")
    options = [(row["id"], row["display_name"]) for row in rows]
    chosen = forms.choice("pipeline", options, options[0][0], "Pipeline")
    return Html(f'<form class="filters" action="/{kind}/new">{chosen}<button class="main">Continue</button></form>')


def _versions(connection: Connection, kind: str, pipeline: str, chosen: str) -> Html:
    query = sqlalchemy.select(versions.c.id, versions.c.display_name).where(versions.c.pipeline_id == pipeline)
    rows = connection.execute(query.order_by(versions.c.created_at.desc()).limit(100)).all()
    options = [(_LATEST, "the newest at each firing")] if kind == "schedules" else []
    options += [(row.id, row.display_name) for row in rows]
    hidden = f'<input type="hidden" name="pipeline" value="{escape(pipeline)}">'
    choice = forms.choice("version", options, chosen, "Version")
    return Html(
        f'<form class="filters" action="/{kind}/new">{hidden}{choice}<button class="small">Change</button></form>'
    )


def _experiments(connection: Connection, filled: Mapping[str, str]) -> Html:
    rows = connection.execute(
        sqlalchemy.select(experiments.c.id, experiments.c.name).where(experiments.c.storage_state == "AVAILABLE")
    ).all()
    options = "".join(
        f'<option value="{id_}"{" selected" if id_ == filled.get("experiment") else ""}>{escape(name)}</option>'
        for id_, name in rows
    )
    options = f'<option value="">the default one</option>{options}'
    label = '<label for="experiment">Experiment</label>'
    return Html(
        f'<div class="field">{label}<div><select id="experiment" name="experiment">{options}</select></div></div>'
    )


def _when(filled: Mapping[str, str]) -> list[Html]:
    every = " selected" if filled.get("catchup") == "yes" else ""
    catch_up = (
        '<select id="catchup" name="catchup"><option value="no">only the latest</option>'
        f'<option value="yes"{every}>every one, the oldest first</option></select>'
    )
    return [
        forms.line("cron", "Cron expression", filled.get("cron", ""),
                   "Six fields, seconds first, in UTC: 0 30 4 * * * is half past four. "
                   "TZ=Europe/Berlin before it is another zone."),
        forms.line("interval", "or every … seconds", filled.get("interval", ""), "Given instead of the expression."),
        forms.line("start_time", "From", filled.get("start_time", ""), "Such as 2026-12-01T00:00:00Z; empty for now."),
        forms.line("end_time", "Until", filled.get("end_time", ""), "Empty for ever."),
        forms.line("concurrency", "At most at once", filled.get("concurrency", "1"), "1 to 10."),
        Html(f'<div class="field"><label for="catchup">Firings that were missed</label><div>{catch_up}</div></div>'),
    ]  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
