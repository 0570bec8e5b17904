"""Triggers and notices of projects as `ct apply` brings them: read, replaced whole, removed."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from fastapi.responses import JSONResponse

from kfp_ct.base.errors import UsageError
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.planning.definitions import KINDS
from kfp_ct.project import applied

router = APIRouter(prefix="/apis/ct/v1/projects/{project}/definitions/{name}")
Ctx = Annotated[Context, Depends(context)]


@router.get("")
def read(project: str, name: str, state: Ctx) -> JSONResponse:
    """Returns the text that was applied, or null."""
    if problem := _unknown(state, project, name):
        return problem
    return JSONResponse({"text": applied.read(state.workspace, project, name)})


@router.put("")
def replace(project: str, name: str, state: Ctx, text: Annotated[str, Body(embed=True)]) -> JSONResponse:
    """Checks a text and obeys it from now on."""
    if problem := _unknown(state, project, name):
        return problem
    try:
        KINDS[name][1](text, name)
    except UsageError as error:
        return JSONResponse({"error": str(error)}, 400)
    applied.write(state.workspace, project, name, text)
    return JSONResponse({"text": text})


@router.delete("")
def remove(project: str, name: str, state: Ctx) -> JSONResponse:
    """Forgets what was applied: the file of the endpoint's own folder counts again."""
    if problem := _unknown(state, project, name):
        return problem
    applied.write(state.workspace, project, name, None)
    return JSONResponse({"text": None})


def _unknown(state: Context, project: str, name: str) -> JSONResponse | None:
    if project not in state.workspace.projects():
        return JSONResponse({"error": f"there is no project {project!r}"}, 404)
    if name not in KINDS:
        return JSONResponse({"error": f"there is no definition {name!r}; expected one of {', '.join(KINDS)}"}, 404)
    return None
