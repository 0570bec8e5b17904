"""Experiments: what runs are grouped by."""

from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_experiments
from kfp_ct.endpoint.store.faults import not_found
from kfp_ct.endpoint.store.tables import experiments, runs
from kfp_ct.endpoint.ui import pager, response

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 100


@router.get("/experiments", response_class=HTMLResponse)
def list_experiments(ctx: Ctx, page_token: str = "", archived: str = "") -> HTMLResponse:
    """Lists experiments."""
    wanted = experiments.c.storage_state == ("ARCHIVED" if archived else "AVAILABLE")
    asked = listing.Asked(page_token, _SIZE, "created_at desc")
    counting = sqlalchemy.select(runs.c.experiment_id, sqlalchemy.func.count()).group_by(runs.c.experiment_id)
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_experiments.EXPERIMENTS, asked, wanted)
        counts = {row[0]: row[1] for row in connection.execute(counting)}
    query = {"page_token": page_token, "archived": archived}
    return response.page(
        "experiments.html",
        experiments=found.rows,
        counts=counts,
        archived=bool(archived),
        pager=pager.pager(found, "experiment", ("experiments",), query),
    )


@router.post("/experiments/{experiment_id}/{action}")
def change_experiment(ctx: Ctx, experiment_id: str, action: str) -> RedirectResponse:
    """Archives or restores an experiment."""
    if action not in ("archive", "unarchive"):
        raise not_found("action", action)
    with ctx.database.writing() as connection:
        store_experiments.set_archived(connection, experiment_id, archived=action == "archive")
    return RedirectResponse("/experiments", 303)
