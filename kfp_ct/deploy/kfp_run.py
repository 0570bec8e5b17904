"""What a run on Kubeflow Pipelines came to: by its API, and by what its tasks left in its pipeline root.

KFP's API has inputs, steps and the package. Fingerprints, metrics and decisions are in the artifacts, which the
launcher writes to <root>/<pipeline>/<run>/<task>/…/<artifact>. `ct up` has all in the record of the run.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kfp_ct.base.errors import ComponentError, TargetError
from kfp_ct.data import layouts
from kfp_ct.deploy import kfp_api, kfp_identity, kfp_root, run_nodes
from kfp_ct.deploy.kfp_target import KfpTarget
from kfp_ct.package import package
from kfp_ct.runs import record, run_facts
from kfp_ct.runs.events import State
from kfp_ct.runs.run_facts import RunFacts, StepFacts
from kfp_ct.storage import storage

_NOT_IN_THE_API = frozenset({"data", "outputs", "versions", "states", "places"})
_SAYS_LITTLE = "output parameters and artifacts' metadata: Kubeflow Pipelines' API does not have them"
_OWN_RECORD = "/apis/ct/v1/runs/{run}"


def facts(service: KfpTarget, run_id: str) -> RunFacts:
    """Fetches what a run came to.

    Raises:
        TargetError: The service does not answer, or has no such run.
    """
    if kfp_identity.identify(service.client, service.host).is_local:
        return run_facts.of_record(_recorded(service, run_id), f"`ct up` at {service.host}")
    with kfp_api.speaking(service.host):
        found = service.client.get_run(run_id)
    compiled = package.of_spec(service.spec(found))
    config = found.runtime_config
    parameters = {**(package.defaults(compiled) if compiled else {}), **(config.parameters if config else {} or {})}
    left, problems = _left(kfp_root.folder(found, compiled, service.pipeline_root))
    states = run_nodes.fold((found.run_details.task_details if found.run_details else None) or [])
    steps = {name: _step(view.state, left.get(name, {})) for name, view in states.items()}
    versions = {"image": ", ".join(sorted(set(package.images(compiled))))} if compiled else {}
    where = f"Kubeflow Pipelines at {service.host}"
    partial = _NOT_IN_THE_API | (frozenset({"gates", "metrics"}) if problems else frozenset())
    told = (_SAYS_LITTLE, *problems)
    return RunFacts(run_id, where, str(found.state or ""), parameters, steps, versions, told, partial)


def _recorded(service: KfpTarget, run_id: str) -> record.Run:
    answer = kfp_identity.fetch(service.client, service.host, _OWN_RECORD.format(run=quote(run_id, safe="")))
    if answer.status == kfp_api.NOT_FOUND:
        raise TargetError(f"{service.host} has no run {run_id} that began\nfix: see its runs at {service.host}/runs")
    return record.of_fields(json.loads(answer.body))


def _step(state: str, left: Mapping[str, Any]) -> StepFacts:
    plain = State(state) if state in State.__members__ else state
    return StepFacts(
        str(plain),
        artifacts=left.get("artifacts", {}),
        metrics=left.get("metrics", {}),
        checks=dict(run_facts.checks_of(left)),
    )


def _left(folder: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Reads what tasks left in the pipeline root; returns it by task, and why it could not be read."""
    if reason := kfp_root.unreadable(folder):
        return {}, [f"fingerprints, metrics and decisions{reason}"]
    try:
        found: dict[str, dict[str, Any]] = {}
        for task, what, value in _parts(folder):
            found.setdefault(task, {}).setdefault(what, {} if isinstance(value, Mapping) else [])
            if isinstance(value, Mapping):
                found[task][what] |= value
            else:
                found[task][what] += value
    except ComponentError as error:
        return {}, [f"fingerprints, metrics and decisions: {str(error).splitlines()[0]}"]
    return found, [] if found else [f"fingerprints, metrics and decisions: nothing is in {folder}"]


def _parts(folder: str) -> Iterator[tuple[str, str, Any]]:
    for each in storage.list_folder(folder):
        _, _, below = each.uri.partition(f"{folder}/")
        task, *inside = below.split("/")
        last = inside[-1] if inside else ""
        if last == layouts.MANIFEST and layouts.TRAINING not in inside:
            manifest = _json(each.uri)
            rows = {split["name"]: split["rows"] for split in manifest.get("splits", ())}
            said = {"fingerprint": manifest.get("fingerprint"), "rows": rows,
                    "rejected_rows": manifest.get("rejected_rows")}  # fmt: skip
            yield task, "artifacts", {inside[-2]: said}
        elif last == layouts.SUMMARY and layouts.REGISTERED not in inside:
            yield task, "checks", list(_json(each.uri).get("checks") or [])
        elif last == "metrics":
            yield task, "metrics", _json(each.uri)


def _json(uri: str) -> dict[str, Any]:
    content = storage.read(uri)
    found = json.loads(content.data) if content else {}
    return found if isinstance(found, dict) else {}
