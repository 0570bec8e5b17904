"""Records of runs, which hold more than Kubeflow Pipelines' API has room for: fingerprints, metrics, versions."""

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import folders, store_runs
from kfp_ct.endpoint.store.faults import not_found

router = APIRouter(prefix="/apis/ct/v1")


@router.get("/runs/{run_id}")
def read_record(ctx: Annotated[Context, Depends(context)], run_id: str) -> dict[str, Any]:
    """Returns what a run has come to, as `ct runs --json` shows it."""
    with ctx.database.reading() as connection:
        store_runs.get(connection, run_id)
    found = folders.account(folders.of(ctx.workspace, run_id))
    if found is None:
        raise not_found("record of run", run_id)
    return dataclasses.asdict(found)
