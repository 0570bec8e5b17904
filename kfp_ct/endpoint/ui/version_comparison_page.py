"""Two versions of a pipeline: what changed from the older to the newer one."""

import dataclasses
import difflib
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import store_pipelines
from kfp_ct.endpoint.ui import response, version_notes
from kfp_ct.endpoint.ui.comparison import differences
from kfp_ct.endpoint.ui.package_inputs import inputs
from kfp_ct.package import package
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_DIFF_STYLES = {"+": "add", "-": "del", "@": "at"}


@dataclasses.dataclass(frozen=True)
class DiffLine:
    """A line of diff -u, and the class of the style sheet it is shown in."""

    text: str
    style: str


@router.get("/pipelines/{pipeline_id}/compare", response_class=HTMLResponse)
def compare_versions(ctx: Ctx, request: Request, pipeline_id: str) -> HTMLResponse:
    """Shows in what two versions differ, the older one first."""
    wanted = request.query_params.getlist("v")
    with ctx.database.reading() as connection:
        parent = store_pipelines.pipeline(connection, pipeline_id)
        pair = [store_pipelines.version(connection, each, pipeline_id) for each in wanted]
    if len(pair) != 2:
        return response.page("version_comparison.html", pipeline=parent, selected=len(pair))
    before, after = sorted(pair, key=lambda each: str(each["created_at"]))
    old, new = json.loads(before["spec"]), json.loads(after["spec"])
    return response.page(
        "version_comparison.html",
        pipeline=parent,
        selected=2,
        names=[version_notes.short(each["display_name"]) for each in (before, after)],
        notes=differences([version_notes.read_description(each["description"])[1] for each in (before, after)]),
        inputs=differences([{each.name: each.default for each in inputs(spec)} for spec in (old, new)]),
        steps=differences([_steps(old), _steps(new)]),
        images=differences([dict.fromkeys(package.images(spec), "used") for spec in (old, new)]),
        difference=_difference(old, new),
    )


def _steps(spec: package.Package) -> dict[str, str]:
    return {task.name: f"after {', '.join(task.upstream)}" if task.upstream else "first" for task in record.tasks(spec)}


def _difference(before: package.Package, after: package.Package) -> list[DiffLine]:
    texts = (package.dump(before).splitlines(), package.dump(after).splitlines())
    found = list(difflib.unified_diff(*texts, lineterm="", n=3))[2:]
    return [DiffLine(line, _DIFF_STYLES.get(line[:1], "")) for line in found]
