"""Experiments, runs and recurring runs over HTTP: KFP's ExperimentService, RunService and RecurringRunService."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from kfp_ct.endpoint.api import bodies, wire  # fmt: skip
from kfp_ct.endpoint.api.context import Context, asked, context
from kfp_ct.endpoint.store import (
    artifacts,
    folders,
    ignored,
    listing,
    packages,
    store_experiments,
    store_recurring,
    store_runs,
)
from kfp_ct.endpoint.store.faults import invalid

router = APIRouter(prefix="/apis/v2beta1")
Ctx = Annotated[Context, Depends(context)]
Asked = Annotated[listing.Asked, Depends(asked)]


@router.get("/healthz")
def healthz(response: Response) -> dict[str, Any]:
    """Says that the endpoint is there; what it is stands in a header, as KFP's message has no field for it."""
    response.headers["X-Served-By"] = "kfp-ct"
    return {"multi_user": False, "pipeline_store": "database"}


@router.post("/experiments")
def create_experiment(ctx: Ctx, body: bodies.Experiment) -> dict[str, Any]:
    """Creates an experiment."""
    with ctx.database.writing() as connection:
        return wire.experiment(store_experiments.create(connection, body.display_name, body.description or ""))


@router.get("/experiments")
def list_experiments(ctx: Ctx, wanted: Asked) -> dict[str, Any]:
    """Lists experiments."""
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_experiments.EXPERIMENTS, wanted)
    return wire.listed("experiments", [wire.experiment(row) for row in found.rows], found.total, found.next_token)


@router.get("/experiments/{experiment_id}")
def get_experiment(ctx: Ctx, experiment_id: str) -> dict[str, Any]:
    """Returns an experiment."""
    with ctx.database.reading() as connection:
        return wire.experiment(store_experiments.get(connection, experiment_id))


@router.delete("/experiments/{experiment_id}")
def delete_experiment(ctx: Ctx, experiment_id: str) -> dict[str, Any]:
    """Deletes an experiment."""
    with ctx.database.writing() as connection:
        store_experiments.delete(connection, experiment_id)
    return {}


@router.post("/experiments/{experiment_id}:archive")
def archive_experiment(ctx: Ctx, experiment_id: str) -> dict[str, Any]:
    """Archives an experiment with its runs."""
    with ctx.database.writing() as connection:
        store_experiments.set_archived(connection, experiment_id, archived=True)
    return {}


@router.post("/experiments/{experiment_id}:unarchive")
def unarchive_experiment(ctx: Ctx, experiment_id: str) -> dict[str, Any]:
    """Restores an experiment."""
    with ctx.database.writing() as connection:
        store_experiments.set_archived(connection, experiment_id, archived=False)
    return {}


@router.post("/runs")
def create_run(ctx: Ctx, body: bodies.Run, response: Response) -> dict[str, Any]:
    """Queues a run; the answer's header Warning names what of it is ignored here."""
    wanted = _wanted(body)
    with ctx.database.writing() as connection:
        row = store_runs.create(connection, ctx.workspace, wanted)
    ctx.wake.set()
    compiled = folders.submitted(folders.of(ctx.workspace, row["id"]))
    wire.warn(response, ignored.of_run(row, compiled))
    return wire.run(row, spec=wanted.spec)


@router.get("/runs")
def list_runs(ctx: Ctx, wanted: Asked, experiment_id: str = "") -> dict[str, Any]:
    """Lists runs, of one experiment or of all."""
    conditions = [store_runs.RUNS.table.c.experiment_id == experiment_id] if experiment_id else []
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_runs.RUNS, wanted, *conditions)
    return wire.listed("runs", [wire.run(row) for row in found.rows], found.total, found.next_token)


@router.get("/runs/{run_id}")
def get_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Returns a run with its tasks."""
    with ctx.database.reading() as connection:
        row = store_runs.get(connection, run_id)
    folder = folders.of(ctx.workspace, run_id)
    spec = None if row["version_id"] else folders.submitted(folder)
    return wire.run(row, folders.account(folder), spec)


@router.delete("/runs/{run_id}")
def delete_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Deletes a run that has ended."""
    with ctx.database.writing() as connection:
        store_runs.delete(connection, ctx.workspace, run_id)
    return {}


@router.post("/runs/{run_id}:archive")
def archive_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Archives a run."""
    with ctx.database.writing() as connection:
        store_runs.set_archived(connection, run_id, archived=True)
    return {}


@router.post("/runs/{run_id}:unarchive")
def unarchive_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Restores a run."""
    with ctx.database.writing() as connection:
        store_runs.set_archived(connection, run_id, archived=False)
    return {}


@router.post("/runs/{run_id}:terminate")
def terminate_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Ends a run."""
    with ctx.database.writing() as connection:
        store_runs.terminate(connection, run_id)
    ctx.wake.set()
    return {}


@router.post("/runs/{run_id}:retry")
def retry_run(ctx: Ctx, run_id: str) -> dict[str, Any]:
    """Queues a failed run again."""
    with ctx.database.writing() as connection:
        store_runs.retry(connection, run_id)
    ctx.wake.set()
    return {}


@router.get("/runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read")
def read_artifact(ctx: Ctx, run_id: str, node_id: str, artifact_name: str) -> dict[str, Any]:
    """Returns what a task wrote, in base64; a folder as a .tar.gz."""
    with ctx.database.reading() as connection:
        store_runs.get(connection, run_id)
    content = artifacts.content(ctx.workspace, run_id, node_id, artifact_name)
    return {"data": base64.b64encode(content).decode()}


@router.post("/recurringruns")
def create_recurring_run(ctx: Ctx, body: bodies.RecurringRun, response: Response) -> dict[str, Any]:
    """Creates a recurring run; the answer's header Warning names what of it is ignored here."""
    if body.mode not in ("ENABLE", "DISABLE", "MODE_UNSPECIFIED", None):
        raise invalid(f"mode is {body.mode!r}: expected ENABLE or DISABLE")
    try:
        most = int(body.max_concurrency or 1)
    except ValueError as error:
        raise invalid(f"max_concurrency is {body.max_concurrency!r}: expected a number") from error
    schedule = {
        "trigger": body.trigger.model_dump(exclude_none=True) if body.trigger else {},
        "max_concurrency": most,
        "no_catchup": bool(body.no_catchup),
        "enabled": body.mode != "DISABLE",
    }
    wanted = _wanted(body)
    with ctx.database.writing() as connection:
        row = store_recurring.create(connection, wanted, schedule)
        compiled, _ = store_runs.package_of(connection, wanted)
    ctx.wake.set()
    wire.warn(response, ignored.of_run(row, compiled))
    return wire.recurring_run(row)


@router.get("/recurringruns")
def list_recurring_runs(ctx: Ctx, wanted: Asked, experiment_id: str = "") -> dict[str, Any]:
    """Lists recurring runs, of one experiment or of all."""
    conditions = [store_recurring.RECURRING_RUNS.table.c.experiment_id == experiment_id] if experiment_id else []
    with ctx.database.reading() as connection:
        found = listing.page(connection, store_recurring.RECURRING_RUNS, wanted, *conditions)
    rows = [wire.recurring_run(row) for row in found.rows]
    # The API's own spelling.
    return wire.listed("recurringRuns", rows, found.total, found.next_token)


@router.get("/recurringruns/{recurring_run_id}")
def get_recurring_run(ctx: Ctx, recurring_run_id: str) -> dict[str, Any]:
    """Returns a recurring run."""
    with ctx.database.reading() as connection:
        return wire.recurring_run(store_recurring.get(connection, recurring_run_id))


@router.delete("/recurringruns/{recurring_run_id}")
def delete_recurring_run(ctx: Ctx, recurring_run_id: str) -> dict[str, Any]:
    """Deletes a recurring run; its runs stay."""
    with ctx.database.writing() as connection:
        store_recurring.delete(connection, recurring_run_id)
    return {}


@router.post("/recurringruns/{recurring_run_id}:enable")
def enable_recurring_run(ctx: Ctx, recurring_run_id: str) -> dict[str, Any]:
    """Lets a recurring run fire."""
    with ctx.database.writing() as connection:
        store_recurring.enable(connection, recurring_run_id, enabled=True)
    ctx.wake.set()
    return {}


@router.post("/recurringruns/{recurring_run_id}:disable")
def disable_recurring_run(ctx: Ctx, recurring_run_id: str) -> dict[str, Any]:
    """Keeps a recurring run from firing."""
    with ctx.database.writing() as connection:
        store_recurring.enable(connection, recurring_run_id, enabled=False)
    return {}


def _wanted(body: bodies.Run | bodies.RecurringRun) -> store_runs.Wanted:
    reference, config = body.pipeline_version_reference, body.runtime_config
    if body.pipeline_spec and (reference or body.pipeline_version_id):
        raise invalid("expected one of pipeline_spec and pipeline_version_reference")
    return store_runs.Wanted(
        name=body.display_name,
        experiment_id=body.experiment_id or "",
        description=body.description or "",
        pipeline_id=(reference.pipeline_id if reference else "") or "",
        version_id=(reference.pipeline_version_id if reference else body.pipeline_version_id) or "",
        spec=packages.from_spec(body.pipeline_spec) if body.pipeline_spec else None,
        parameters=(config.parameters if config else {}) or {},
        pipeline_root=(config.pipeline_root if config else "") or "",
        service_account=body.service_account or "",
    )
