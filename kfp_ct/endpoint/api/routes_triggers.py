"""Triggers by HTTP: what Pub/Sub, Eventarc, Cloud Scheduler or a script sends may start a project's run."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.background import triggers
from kfp_ct.watch import receive
from kfp_ct.watch.watch import RecordedDecision, Watch

router = APIRouter(prefix="/apis/ct/v1")


@router.post("/projects/{project}/triggers")
async def trigger(project: str, request: Request, state: Annotated[Context, Depends(context)]) -> JSONResponse:
    """Decides by a project's triggers.yaml whether what was sent starts a run; see docs/triggers.md."""
    body, headers = await request.body(), dict(request.headers)

    def queue(watched: Watch, recorded: RecordedDecision) -> str:
        return triggers.queue(state, watched, recorded)

    status, said = await run_in_threadpool(receive.handle, state.workspace, project, body, headers, queue)
    return JSONResponse(said, status)
