"""The page of one version of a pipeline: its steps, inputs, settings, images and package."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import store_pipelines
from kfp_ct.endpoint.ui import response, version_notes
from kfp_ct.endpoint.ui.package_inputs import inputs
from kfp_ct.package import package
from kfp_ct.report import dag
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@router.get("/pipelines/{pipeline_id}/versions/{version_id}", response_class=HTMLResponse)
def show_version(ctx: Ctx, pipeline_id: str, version_id: str) -> HTMLResponse:
    """Shows a version."""
    with ctx.database.reading() as connection:
        parent = store_pipelines.pipeline(connection, pipeline_id)
        row = store_pipelines.version(connection, version_id, pipeline_id)
    compiled = json.loads(row["spec"])
    words, notes = version_notes.read_description(row["description"])
    tasks = record.tasks(compiled)
    return response.page(
        "version.html",
        pipeline=parent,
        version=row,
        description=words,
        notes=notes,
        drawing=dag.draw_pipeline(tasks),
        steps=len(tasks),
        inputs=inputs(compiled),
        images=package.images(compiled),
        package=package.dump(compiled),
    )
