"""Rows as the API shows them: KFP's v2beta1 messages, as its Python client reads them (kfp_server_api.models)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Response

from kfp_ct.endpoint.store import store_runs
from kfp_ct.package import package
from kfp_ct.runs import record
from kfp_ct.runs.events import State

_TASK_STATES = {
    State.PENDING: "PENDING",
    State.RUNNING: "RUNNING",
    State.SUCCEEDED: "SUCCEEDED",
    # The API has no word for an answer from the cache; the run's own page has.
    State.CACHED: "SUCCEEDED",
    State.FAILED: "FAILED",
    State.SKIPPED: "SKIPPED",
}


def pipeline(row: Mapping[str, Any]) -> dict[str, Any]:
    """V2beta1Pipeline."""
    return _given(
        pipeline_id=row["id"],
        name=row["name"],
        display_name=row["display_name"],
        description=row["description"],
        created_at=row["created_at"],
        tags=row["tags"],
    )


def version(row: Mapping[str, Any]) -> dict[str, Any]:
    """V2beta1PipelineVersion."""
    return _given(
        pipeline_id=row["pipeline_id"],
        pipeline_version_id=row["id"],
        name=row["name"],
        display_name=row["display_name"],
        description=row["description"],
        created_at=row["created_at"],
        code_source_url=row["code_source_url"],
        pipeline_spec=package.as_spec(json.loads(row["spec"])),
        tags=row["tags"],
    )


def experiment(row: Mapping[str, Any]) -> dict[str, Any]:
    """V2beta1Experiment."""
    return _given(
        experiment_id=row["id"],
        display_name=row["name"],
        description=row["description"],
        created_at=row["created_at"],
        last_run_created_at=row["last_run_created_at"],
        storage_state=row["storage_state"],
    )


def run(row: Mapping[str, Any], account: record.Run | None = None, spec: Any = None) -> dict[str, Any]:
    """V2beta1Run.

    Args:
        row: The run.
        account: What it has come to, for its tasks; lists leave it out.
        spec: Its package, where it was handed over with the run.
    """
    return _given(
        experiment_id=row["experiment_id"],
        run_id=row["id"],
        display_name=row["name"],
        storage_state=row["storage_state"],
        description=row["description"],
        pipeline_version_reference=_reference(row),
        pipeline_version_id=None,
        pipeline_spec=package.as_spec(spec) if spec else None,
        runtime_config=_given(parameters=row["parameters"], pipeline_root=row["pipeline_root"]),
        service_account=row["service_account"],
        created_at=row["created_at"],
        scheduled_at=row["scheduled_at"],
        finished_at=row["finished_at"],
        state=row["state"],
        error=_error(row),
        recurring_run_id=row["recurring_run_id"],
        state_history=row["state_history"],
        run_details={"task_details": [_task(row, account, task) for task in account.tasks]} if account else None,
    )


def recurring_run(row: Mapping[str, Any]) -> dict[str, Any]:
    """V2beta1RecurringRun."""
    return _given(
        recurring_run_id=row["id"],
        display_name=row["name"],
        description=row["description"],
        pipeline_version_reference=_reference(row),
        pipeline_spec=package.as_spec(json.loads(row["spec"])) if row["spec"] else None,
        runtime_config=_given(parameters=row["parameters"], pipeline_root=row["pipeline_root"]),
        service_account=row["service_account"],
        max_concurrency=str(row["max_concurrency"]),
        trigger=row["trigger"],
        mode="ENABLE" if row["enabled"] else "DISABLE",
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status="ENABLED" if row["enabled"] else "DISABLED",
        error=_error(row),
        no_catchup=row["no_catchup"],
        experiment_id=row["experiment_id"],
    )


def listed(name: str, rows: list[dict[str, Any]], total: int, next_token: str) -> dict[str, Any]:
    """A list response; like KFP's it leaves out what is empty."""
    return _given(**{name: rows or None}, total_size=total, next_page_token=next_token)


def warn(response: Response, found: Sequence[str]) -> None:
    """Names in the header Warning what a cluster would do and this machine does not."""
    if found:
        text = "; ".join(found).replace('"', "'").replace("\\", "/")[:2000]
        response.headers["Warning"] = f'199 kfp-ct "{text.encode("ascii", "replace").decode()}"'


def _task(row: Mapping[str, Any], account: record.Run, task: record.Task) -> dict[str, Any]:
    ended = task.state not in (State.PENDING, State.RUNNING) and task.started
    return _given(
        run_id=row["id"],
        task_id=f"{row['id']}/{task.name}",
        display_name=task.name,
        pod_name=task.name if task.started else None,  # what its log is asked for by
        create_time=account.started,
        start_time=task.started,
        end_time=record.after(task.started, task.seconds) if ended else None,
        state=_TASK_STATES[State(task.state)],
        error={"code": 2, "message": task.error} if task.error else None,
        outputs={name: {"artifact_ids": [f"{row['id']}/{task.name}/{name}"]} for name in task.artifacts} or None,
    )


def _reference(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if not row["pipeline_id"]:
        return None
    return _given(pipeline_id=row["pipeline_id"], pipeline_version_id=row["version_id"])


def _error(row: Mapping[str, Any]) -> dict[str, Any] | None:
    code = 1 if row["error"] == store_runs.TERMINATED else 2  # google.rpc.Code: CANCELLED, UNKNOWN
    return {"code": code, "message": row["error"]} if row["error"] else None


def _given(**fields: Any) -> dict[str, Any]:
    """Leaves out what is not there, as JSON of protocol buffers does."""
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
