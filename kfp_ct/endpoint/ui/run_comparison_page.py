"""Runs side by side: their metrics, their parameters, how long each step took, and where they differ."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store import folders, store_runs
from kfp_ct.endpoint.ui import comparison, response
from kfp_ct.endpoint.ui.run_summary import summarise
from kfp_ct.runs import record

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_MOST = 8


@router.get("/runs/compare", response_class=HTMLResponse)
def compare_runs(ctx: Ctx, request: Request) -> HTMLResponse:
    """Shows runs side by side."""
    wanted = request.query_params.getlist("r")[:_MOST]
    if len(wanted) < 2:
        return response.page("run_comparison.html", runs=[])
    with ctx.database.reading() as connection:
        rows = [store_runs.get(connection, each) for each in wanted]
    accounts = [folders.account(folders.of(ctx.workspace, each)) for each in wanted]
    pairs = zip(rows, accounts, strict=True)
    given = [dict(account.parameters) if account else row["parameters"] for row, account in pairs]
    return response.page(
        "run_comparison.html",
        runs=[summarise(row, {}) for row in rows],
        metrics=comparison.lines([_metrics(account) for account in accounts]),
        parameters=comparison.differences(given),
        seconds=comparison.lines([_seconds(account) for account in accounts]),
    )


def _seconds(account: record.Run | None) -> dict[str, float]:
    return {task.name: task.seconds for task in account.tasks} if account else {}


def _metrics(account: record.Run | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for task in account.tasks if account else []:
        for artifact in task.artifacts.values():
            if artifact.get("type") == "system.Metrics":
                found |= {f"{task.name}: {name}": value for name, value in artifact.get("metadata", {}).items()}
    return found
