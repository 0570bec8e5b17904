"""The list of runs."""

from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_runs
from kfp_ct.endpoint.store.tables import experiments, runs
from kfp_ct.endpoint.ui import command_runs, pager, pipelines_page, response
from kfp_ct.endpoint.ui.run_summary import summarise

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 50
_STATES = [
    ("", "any"),
    (store_runs.PENDING, "waiting"),
    (store_runs.RUNNING, "running"),
    (store_runs.SUCCEEDED, "succeeded"),
    (store_runs.FAILED, "failed"),
]


@router.get("/")
def home() -> RedirectResponse:
    """Leads to the runs; what a link of KFP's client names after the # is found by the page's script."""
    return RedirectResponse("/runs", 307)


@router.get("/runs", response_class=HTMLResponse)
def list_runs(
    ctx: Ctx, state: str = "", experiment: str = "", text: str = "", archived: str = "", page_token: str = ""
) -> HTMLResponse:
    """Lists runs, newest first; below them, where no filter is set, those that `ct run` made."""
    query = {"state": state, "experiment": experiment, "text": text, "archived": archived, "page_token": page_token}
    conditions = [runs.c.storage_state == ("ARCHIVED" if archived else "AVAILABLE")]
    conditions += [runs.c.state == state] if state else []
    conditions += [runs.c.experiment_id == experiment] if experiment else []
    conditions += [runs.c.name.contains(text, autoescape=True)] if text else []
    asked = listing.Asked(page_token, _SIZE, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_runs.RUNS, asked, *conditions)
        groups = connection.execute(sqlalchemy.select(experiments.c.id, experiments.c.name)).all()
        names = pipelines_page.names(connection)
    group_names = {row.id: row.name for row in groups}
    shown = [summarise(row, names, group_names) for row in found.rows]
    of_command = [] if any(query.values()) else command_runs.newest(ctx.workspace)
    return response.page(
        "runs.html",
        runs=shown,
        of_command=of_command,
        filters=query,
        filtered=any(query.values()),
        states=_STATES,
        experiments=[("", "all"), *group_names.items()],
        pager=pager.pager(found, "run", ("runs",), query),
        live=any(run.active for run in shown) or any(run.state == "running" for run in of_command),
    )
