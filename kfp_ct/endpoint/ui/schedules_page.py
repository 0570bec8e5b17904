"""The list of schedules."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_recurring
from kfp_ct.endpoint.store.database import moment
from kfp_ct.endpoint.ui import pager, pipelines_page, response

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 100


@router.get("/schedules", response_class=HTMLResponse)
def list_schedules(ctx: Ctx, page_token: str = "") -> HTMLResponse:
    """Lists schedules with their last and next firing."""
    asked = listing.Asked(page_token, _SIZE, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_recurring.RECURRING_RUNS, asked)
        names = pipelines_page.names(connection)
    pages = pager.pager(found, "schedule", ("schedules",), {"page_token": page_token})
    following = {row["id"]: next_firing(row) for row in found.rows}
    return response.page("schedules.html", schedules=found.rows, following=following, names=names, pager=pages)


def next_firing(row: Mapping[str, Any]) -> str:
    """Returns when a schedule fires next; empty if it never does again, or is disabled."""
    found = store_recurring.next_firing(row)
    return moment(found) if found else ""
