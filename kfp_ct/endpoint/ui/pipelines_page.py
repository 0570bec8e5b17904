"""The list of pipelines."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from sqlalchemy.engine import Connection

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_pipelines
from kfp_ct.endpoint.store.tables import pipelines, runs, versions
from kfp_ct.endpoint.ui import pager, response
from kfp_ct.endpoint.ui.run_summary import RunSummary, summarise

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 50


@dataclasses.dataclass(frozen=True)
class Newest:
    """A pipeline's newest version."""

    id: str
    name: str
    created_at: str


@dataclasses.dataclass(frozen=True)
class PipelineLine:
    """A pipeline as the list shows it; None where it has no version, or no run."""

    id: str
    name: str
    newest: Newest | None
    version_count: int
    last_run: RunSummary | None


@router.get("/pipelines", response_class=HTMLResponse)
def list_pipelines(ctx: Ctx, page_token: str = "") -> HTMLResponse:
    """Lists pipelines."""
    asked = listing.Asked(page_token, _SIZE, "created_at desc")
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_pipelines.PIPELINES, asked)
        lines = [_line(connection, row) for row in found.rows]
    query = {"page_token": page_token}
    pages = pager.pager(found, "pipeline", ("pipelines",), query)
    return response.page("pipelines.html", pipelines=lines, pager=pages)


def _line(connection: Connection, row: Mapping[str, Any]) -> PipelineLine:
    of_it = versions.c.pipeline_id == row["id"]
    count = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(versions).where(of_it))
    query = sqlalchemy.select(versions.c.id, versions.c.display_name, versions.c.created_at).where(of_it)
    newest = connection.execute(query.order_by(versions.c.created_at.desc()).limit(1)).first()
    last_run = sqlalchemy.select(runs).where(runs.c.pipeline_id == row["id"]).order_by(runs.c.created_at.desc())
    last = connection.execute(last_run.limit(1)).mappings().first()
    return PipelineLine(
        row["id"], row["display_name"], Newest(*newest) if newest else None, count.scalar_one(),
        summarise(dict(last), {}) if last else None,
    )  # fmt: skip


def names(connection: Connection) -> dict[str, str]:
    """Returns the names of all pipelines by id."""
    query = sqlalchemy.select(pipelines.c.id, pipelines.c.display_name)
    return {row.id: row.display_name for row in connection.execute(query)}
