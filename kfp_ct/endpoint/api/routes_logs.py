"""Logs of tasks, where Kubeflow Pipelines has them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import folders, store_runs
from kfp_ct.endpoint.store.faults import not_found

router = APIRouter(prefix="/apis/v1alpha1")
Ctx = Annotated[Context, Depends(context)]


@router.get("/runs/{run_id}/nodes/{node_id}/log", response_class=PlainTextResponse)
def read_log(ctx: Ctx, run_id: str, node_id: str) -> PlainTextResponse:
    """Returns the log of a task."""
    with ctx.database.reading() as connection:
        store_runs.get(connection, run_id)
    folder = folders.of(ctx.workspace, run_id)
    account = folders.account(folder)
    path = folder / "logs" / f"{node_id}.log"
    if account is None or account.task(node_id) is None or not path.exists():
        raise not_found("log of task", node_id)
    return PlainTextResponse(path.read_text(errors="replace"), headers={"X-Content-Type-Options": "nosniff"})
