"""What a run on Vertex AI Pipelines came to, by Vertex AI's API; it has all artifacts with their metadata."""

from typing import Any

from kfp_ct.deploy.vertex_target import VertexTarget, speaking
from kfp_ct.package import package
from kfp_ct.runs import run_facts
from kfp_ct.runs.events import State
from kfp_ct.runs.run_facts import RunFacts, StepFacts

# Vertex AI skips a task whose result its cache has; one that a condition leaves out is not triggered.
_STATES = {"SKIPPED": State.CACHED, "NOT_TRIGGERED": State.SKIPPED, "CANCELLED": State.FAILED}
_OUTPUT = "output:"


def facts(service: VertexTarget, run_id: str) -> RunFacts:
    """Fetches what a run came to.

    Raises:
        TargetError: Vertex AI does not answer, or has no such run.
    """
    from google.cloud import aiplatform

    with speaking(service.section):
        service.start_client()
        job = aiplatform.PipelineJob.get(run_id).gca_resource
        found = type(job).to_dict(job, use_integers_for_enums=False)
    compiled = package.of_spec(found.get("pipeline_spec") or {})
    config = found.get("runtime_config") or {}
    defaults = package.defaults(compiled) if compiled else {}
    problems: list[str] = []
    tasks = (found.get("job_detail") or {}).get("task_details") or []
    # The executor of a task is one more entry beside it, without a name of the user's.
    steps = {task["task_name"]: _step(task, problems) for task in tasks if task.get("task_name")}
    versions = {"image": ", ".join(sorted(set(package.images(compiled))))} if compiled else {}
    versions |= {"commit": (found.get("labels") or {}).get("commit", "")}
    state = str(found.get("state", "")).removeprefix("PIPELINE_STATE_")
    parameters = {**defaults, **(config.get("parameter_values") or {})}
    told = tuple(dict.fromkeys(problems))
    partial = frozenset({"versions", *(("gates",) if told else ())})
    return RunFacts(run_id, "Vertex AI", state, parameters, steps, versions, told, partial)


def _step(task: dict[str, Any], problems: list[str]) -> StepFacts:
    state = str(task.get("state", ""))
    execution = task.get("execution") or {}
    outputs = {
        name.removeprefix(_OUTPUT): value
        for name, value in (execution.get("metadata") or {}).items()
        if name.startswith(_OUTPUT)
    }
    artifacts = {name: _artifact(each) for name, each in (task.get("outputs") or {}).items()}
    return run_facts.of_step(_STATES.get(state, state), outputs, artifacts, problems)


def _artifact(listed: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = next(iter(listed.get("artifacts") or ()), {})
    metadata = first.get("metadata") or {}
    return {"uri": first.get("uri", ""), "type": first.get("schema_title", ""), "metadata": metadata}
