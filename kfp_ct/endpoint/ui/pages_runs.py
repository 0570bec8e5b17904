"""Pages about runs: the list, one run as it goes on, several side by side."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import folders, listing, store_experiments, store_recurring, store_runs
from kfp_ct.endpoint.store.faults import Fault, not_found
from kfp_ct.endpoint.store.tables import experiments, runs
from kfp_ct.endpoint.ui import forms, pages_pipelines, shell
from kfp_ct.pages.html import Html, badge, code, details, escape, facts, join, muted, paragraph, section, table
from kfp_ct.report import dag, states, words
from kfp_ct.report import parts as parts_
from kfp_ct.report.parts import pairs
from kfp_ct.report.report import PAGE
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 50
_STATES = [
    ("", "any"),
    ("PENDING", "waiting"),
    ("RUNNING", "running"),
    ("SUCCEEDED", "succeeded"),
    ("FAILED", "failed"),
]


@router.get("/")
def home() -> RedirectResponse:
    """Leads to the runs; what a link of KFP's client names after the # is found by the page's script."""
    return RedirectResponse("/runs", 307)


@router.get("/runs", response_class=HTMLResponse)
def every(
    ctx: Ctx, state: str = "", experiment: str = "", text: str = "", archived: str = "", page_token: str = ""
) -> HTMLResponse:
    """Lists runs, newest first."""
    conditions = [runs.c.storage_state == ("ARCHIVED" if archived else "AVAILABLE")]
    conditions += [runs.c.state == state] if state else []
    conditions += [runs.c.experiment_id == experiment] if experiment else []
    conditions += [runs.c.name.contains(text, autoescape=True)] if text else []
    with ctx.database.reading() as connection:
        found = listing.page(
            connection, store_runs.RUNS, listing.Asked(page_token, _SIZE, "created_at desc"), *conditions
        )
        groups = connection.execute(sqlalchemy.select(experiments.c.id, experiments.c.name)).all()
        pipelines = pages_pipelines.by_id(connection)
    query = {"state": state, "experiment": experiment, "text": text, "archived": archived, "page_token": page_token}
    page = shell.Page(
        "Runs", "Runs", actions=[shell.button("/runs/new", "New run", "main")],
        live=any(row["state"] in store_runs.ACTIVE for row in found.rows),
    )  # fmt: skip
    filters = _filters(query, [(row.id, row.name) for row in groups])
    if not found.rows:
        wanted = state or experiment or text or archived or page_token
        said = "No run is like that." if wanted else "No runs yet."
        return shell.draw(
            page, filters, shell.empty(said, join(["Start one here, or with ", code("ct deploy flights --run")]))
        )
    names = {row.id: row.name for row in groups}
    rows = [_row(row, names, pipelines) for row in found.rows]
    headers = ["run", "state", "pipeline", "experiment", "started", "took", "why", "compare"]
    drawn = f'{table(headers, rows)}<p><button class="small">Compare those that are marked</button></p>'
    pager = shell.pager("/runs", query, found.next_token, found.total, len(rows))
    return shell.draw(page, filters, Html(f'<form action="/runs/compare">{drawn}</form>'), pager)


def _filters(query: Mapping[str, str], groups: Sequence[tuple[str, str]]) -> Html:
    parts = [
        forms.choice("state", _STATES, query["state"], "State"),
        forms.choice("experiment", [("", "all"), *groups], query["experiment"], "Experiment"),
        Html(f'<label>Name has<input type="search" name="text" value="{escape(query["text"])}"></label>'),
        forms.choice("archived", [("", "current"), ("1", "archived")], query["archived"], "Show"),
        Html('<button class="small">Filter</button>'),
    ]
    return Html(f'<form class="filters" action="/runs">{join(parts)}</form>')


def _row(row: Mapping[str, Any], groups: Mapping[str, str], pipelines: Mapping[str, str]) -> list[Any]:
    pipeline = pipelines.get(row["pipeline_id"] or "")
    name = escape(row["name"])
    box = Html(f'<input type="checkbox" name="r" value="{row["id"]}" aria-label="compare {name}">')
    return [
        shell.link(f"/runs/{row['id']}", row["name"]),
        shell.state(row),
        shell.link(f"/pipelines/{row['pipeline_id']}", pipeline) if pipeline else muted("a package"),
        groups.get(row["experiment_id"]),
        shell.when(row["started_at"] or row["created_at"]),
        took(row),
        row["cause"],
        box,
    ]


def took(row: Mapping[str, Any]) -> Any:
    """Says how long a run that has ended took."""
    if not row["started_at"] or not row["finished_at"]:
        return None
    return words.seconds(max(record.between(row["started_at"], row["finished_at"]), 0.0))


@router.get("/runs/compare", response_class=HTMLResponse)
def compare(ctx: Ctx, request: Request) -> HTMLResponse:
    """Shows runs side by side: parameters and metrics, and in what they differ."""
    wanted = request.query_params.getlist("r")[:8]
    page = shell.Page("Compare runs", "Runs", [("Runs", "/runs")])
    if len(wanted) < 2:
        return shell.draw(page, shell.empty("Mark two runs or more."))
    with ctx.database.reading() as connection:
        rows = [store_runs.get(connection, each) for each in wanted]
    accounts = [folders.account(folders.of(ctx.workspace, each)) for each in wanted]
    heads = ["what", *(row["name"] for row in rows)]
    links = ["run", *(shell.link(f"/runs/{row['id']}", row["id"]) for row in rows)]
    top = [links, ["state", *map(shell.state, rows)], ["took", *map(took, rows)]]
    given = [
        dict(account.parameters) if account else row["parameters"] for row, account in zip(rows, accounts, strict=True)
    ]
    parts = [
        table(heads, top, "the runs"),
        section("Metrics", _side_by_side(heads, [_metrics(each) for each in accounts])),
    ]
    parts.append(section("Parameters that differ", _side_by_side(heads, given, only_different=True)))
    times = [{task.name: task.seconds for task in account.tasks} if account else {} for account in accounts]
    parts.append(section("Seconds a step", _side_by_side(heads, times)))
    return shell.draw(page, *parts)


def _metrics(account: record.Run | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for task in account.tasks if account else []:
        for artifact in task.artifacts.values():
            if artifact.get("type") == "system.Metrics":
                found |= {f"{task.name}: {name}": value for name, value in artifact.get("metadata", {}).items()}
    return found


def _side_by_side(heads: list[str], sides: Sequence[Mapping[str, Any]], only_different: bool = False) -> Html:
    names = list(dict.fromkeys(name for side in sides for name in side))
    rows = []
    for name in names:
        values = [side.get(name) for side in sides]
        same = all(value == values[0] for value in values)
        if not (only_different and same):
            rows.append([name, *(_cell(value, same) for value in values)])
    return table(heads, rows) if rows else paragraph(muted("None."))


def _cell(value: Any, same: bool) -> Any:
    shown = shell.shown(value)
    return (
        shown
        if same or value is None or isinstance(value, int | float)
        else Html(f'<span class="differs">{escape(shown)}</span>')
    )


@router.get("/runs/{run_id}", response_class=HTMLResponse)
def one(ctx: Ctx, run_id: str) -> HTMLResponse:
    """Shows a run as it goes on."""
    with ctx.database.reading() as connection:
        row = store_runs.get(connection, run_id)
        pipelines = pages_pipelines.by_id(connection)
        group = store_experiments.get(connection, row["experiment_id"])
        schedule = _schedule(connection, row)
    folder = folders.of(ctx.workspace, run_id)
    account = folders.account(folder)
    page = shell.Page(
        row["name"], "Runs", [("Runs", "/runs")], join([code(run_id), " · ", row["cause"] or "on demand"]),
        _actions(row, (folder / PAGE).exists()), live=row["state"] in store_runs.ACTIVE,
    )  # fmt: skip
    figures = {"state": shell.state(row), "started": shell.when(row["started_at"]), "took": took(row) or "–"}
    figures["attempt"] = row["attempt"]
    parts: list[Html] = [facts(figures)]
    if row["error"]:
        parts.append(shell.problem(row["error"], "info" if row["error"] == store_runs.TERMINATED else "bad"))
    if account:
        links = {task.name: f"/runs/{run_id}/tasks/{task.name}" for task in account.tasks}
        parts += [Html(dag.draw(account.tasks, links)), section("Steps", _steps(run_id, account))]
    elif row["state"] in store_runs.ACTIVE:
        parts.append(shell.empty("It has not begun yet."))
    parts.append(
        section("Parameters", parameters(account.parameters if account else row["parameters"], row["parameters"]))
    )
    parts.append(section("Where it comes from", _origin(row, pipelines, group, schedule, account)))
    return shell.draw(page, *parts)


def _schedule(connection: Any, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        return store_recurring.get(connection, row["recurring_run_id"]) if row["recurring_run_id"] else None
    except Fault:  # deleted since
        return None


def _actions(row: Mapping[str, Any], reported: bool) -> list[Html]:
    base, found = f"/runs/{row['id']}", []
    if reported:
        found.append(shell.button(f"{base}/report", "Report", "main"))
    if row["state"] in store_runs.ACTIVE:
        return [*found, shell.act(f"{base}/terminate", "Terminate", "danger", "End this run?")]
    if row["state"] == store_runs.FAILED:
        found.append(shell.act(f"{base}/retry", "Retry"))
    found.append(shell.button(f"/runs/new?again={row['id']}", "Run again"))
    if row["storage_state"] == "ARCHIVED":
        return [*found, shell.act(f"{base}/unarchive", "Restore"),
                shell.act(f"{base}/delete", "Delete", "danger", "Delete this run with its logs?")]  # fmt: skip
    return [*found, shell.act(f"{base}/archive", "Archive")]


def _steps(run_id: str, account: record.Run) -> Html:
    rows = [
        [
            shell.link(f"/runs/{run_id}/tasks/{task.name}", task.name),
            parts_.mark(task.state),
            words.seconds(task.seconds) if states.ran(task.state) and task.state != "RUNNING" else None,
            task.error.partition("\n")[0] or task.summary or None,
        ]
        for task in account.tasks
    ]
    return table(["step", "state", "time", "summary"], rows)


def parameters(values: Mapping[str, Any], given: Mapping[str, Any]) -> Html:
    """Lists parameters, and which of them were given."""
    rows = [[name, _value(values[name]), badge("info", "given") if name in given else None] for name in sorted(values)]
    drawn = table(["parameter", "value", "from"], rows) if rows else paragraph(muted("None."))
    return details(f"{len(values)} parameters, {len(given)} of them given", drawn, opened=0 < len(values) <= 12)


def _value(value: Any) -> Any:
    return shell.shown(value) if value != "" else muted("empty")


def _origin(
    row: Mapping[str, Any], pipelines: Mapping[str, str], group: Mapping[str, Any],
    schedule: Mapping[str, Any] | None, account: record.Run | None,
) -> Html:  # fmt: skip
    pipeline = pipelines.get(row["pipeline_id"] or "")
    base = f"/pipelines/{row['pipeline_id']}"
    rows = [
        ["why", row["cause"]],
        ["pipeline", shell.link(base, pipeline) if pipeline else muted("a package that was handed over")],
        ["version", shell.link(f"{base}/versions/{row['version_id']}", row["version_id"]) if pipeline else None],
        ["experiment", shell.link(f"/runs?experiment={group['id']}", group["name"])],
        ["schedule", shell.link(f"/schedules/{schedule['id']}", schedule["name"]) if schedule else None],
        ["created", shell.when(row["created_at"])],
        ["due", shell.when(row["scheduled_at"])],
        ["states", ", ".join(f"{each['state'].lower()} {each['update_time'][11:19]}" for each in row["state_history"])],
    ]
    if account:
        rows += [["commit", code(account.commit)], ["sources", code(account.code_version)], ["user", account.user]]
    return pairs([each for each in rows if each[1] is not None])


@router.get("/runs/{run_id}/report", response_class=HTMLResponse)
def report(ctx: Ctx, run_id: str) -> HTMLResponse:
    """Shows the run's report."""
    with ctx.database.reading() as connection:
        store_runs.get(connection, run_id)
    path = folders.of(ctx.workspace, run_id) / PAGE
    if not path.exists():
        raise not_found("report of run", run_id)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return HTMLResponse(path.read_text(), headers={"Content-Security-Policy": policy})


@router.post("/runs/{run_id}/{action}")
def act(ctx: Ctx, run_id: str, action: str) -> RedirectResponse:
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
    return RedirectResponse("/runs" if action == "delete" else f"/runs/{run_id}", 303)
