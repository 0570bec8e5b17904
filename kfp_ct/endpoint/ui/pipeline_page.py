"""The page of one pipeline: its versions."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import listing, store_pipelines
from kfp_ct.endpoint.store.tables import runs, versions
from kfp_ct.endpoint.ui import pager, response, version_notes

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_SIZE = 50


@dataclasses.dataclass(frozen=True)
class VersionLine:
    """A version as its pipeline's page lists it."""

    id: str
    name: str
    commit: str
    description: str
    created_at: str
    runs: int


@router.get("/pipelines/{pipeline_id}", response_class=HTMLResponse)
def show_pipeline(ctx: Ctx, pipeline_id: str, page_token: str = "") -> HTMLResponse:
    """Shows a pipeline and its versions."""
    asked = listing.Asked(page_token, _SIZE, "created_at desc")
    with ctx.database.reading() as connection:
        row = store_pipelines.pipeline(connection, pipeline_id)
        of_it = versions.c.pipeline_id == pipeline_id
        found = listing.page(connection, store_pipelines.VERSIONS_WITHOUT_PACKAGE, asked, of_it)
        counting = sqlalchemy.select(runs.c.version_id, sqlalchemy.func.count()).group_by(runs.c.version_id)
        counts = {each[0]: each[1] for each in connection.execute(counting.where(runs.c.pipeline_id == pipeline_id))}
    return response.page(
        "pipeline.html",
        pipeline=row,
        versions=[_line(each, counts.get(each["id"], 0)) for each in found.rows],
        pager=pager.pager(found, "version", ("pipelines", pipeline_id), {"page_token": page_token}),
    )


def _line(row: Mapping[str, Any], count: int) -> VersionLine:
    words, notes = version_notes.read_description(row["description"])
    return VersionLine(row["id"], row["display_name"], str(notes.get("commit", "")), words, row["created_at"], count)
