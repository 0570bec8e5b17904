"""What a run was given, made and decided, in one form wherever it ran."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from kfp_ct.base.errors import ComponentError
from kfp_ct.data import layouts
from kfp_ct.runs import record
from kfp_ct.storage import locations, storage

METRICS = "system.Metrics"
GATES = "gates"
# What describes the run itself, by the names that `ct run` and `ct deploy` fill in.
LINEAGE, CODE, DATA = "lineage", "code_version", "data_version"


@dataclasses.dataclass(frozen=True)
class StepFacts:
    """One step of a run.

    Attributes:
        state: What its place calls it, such as SUCCEEDED or CACHED.
        outputs: Its output parameters.
        artifacts: What its artifacts say of themselves: name to metadata; fingerprints among it.
        metrics: Its numbers by name.
        checks: Its gates' decisions by name.
    """

    state: str
    outputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    artifacts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    checks: Mapping[str, bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes:
        run: Its id.
        where: Where it ran, for people.
        state: How it ended.
        parameters: The pipeline's inputs.
        steps: Its steps by name.
        versions: Commit, code, image, environment.
        not_told: What its place does not say of it, and why.
        partial: Sections of a comparison in which its place does not say all there is.
    """

    run: str
    where: str
    state: str
    parameters: Mapping[str, Any]
    steps: Mapping[str, StepFacts]
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    not_told: tuple[str, ...] = ()
    partial: frozenset[str] = frozenset()


def of_record(run: record.Run, where: str) -> RunFacts:
    """Returns the facts of a run that left a record."""
    named = {"commit": run.commit, "code": run.code_version, "image": run.image, **run.versions}
    steps, problems = {}, list[str]()
    for task in run.tasks:
        steps[task.name] = of_step(task.state, task.parameters, task.artifacts, problems)
    told = tuple(dict.fromkeys(problems))
    return RunFacts(run.id, where, run.state, run.parameters, steps, named, told, frozenset({GATES} if told else ()))


def of_step(
    state: str, outputs: Mapping[str, Any], artifacts: Mapping[str, Mapping[str, Any]], problems: list[str]
) -> StepFacts:
    """Returns the facts of a step.

    Args:
        state: Its state.
        outputs: Its output parameters.
        artifacts: Name to {uri, type, metadata}.
        problems: Receives what could not be read.
    """
    said = {name: dict(each.get("metadata") or {}) for name, each in artifacts.items()}
    metrics = {name for name, each in artifacts.items() if each.get("type") == METRICS}
    numbers = {key: value for name in sorted(metrics) for key, value in said[name].items()}
    known = {name: each for name, each in said.items() if name not in metrics}
    checks = dict(_checks(artifacts, problems))
    return StepFacts(str(state), outputs, known, numbers, checks)


def checks_of(summary: Any) -> Iterator[tuple[str, bool]]:
    """Yields the gates' decisions that a summary holds; a gate that judges several times counts its checks."""
    found = summary.get("checks") if isinstance(summary, Mapping) else None
    counted: dict[str, int] = {}
    for each in found or ():
        gate = str(each["gate"])
        counted[gate] = counted.get(gate, 0) + 1
        yield gate if counted[gate] == 1 else f"{gate} ({counted[gate]})", bool(each["passed"])


def _checks(artifacts: Mapping[str, Mapping[str, Any]], problems: list[str]) -> Iterator[tuple[str, bool]]:
    for name in ("evaluation", "infra_validation"):
        uri = str(artifacts.get(name, {}).get("uri") or "")
        if uri:
            yield from checks_of(_summary(locations.join(uri, layouts.SUMMARY), problems))


def _summary(uri: str, problems: list[str]) -> Any:
    try:
        content = storage.read(uri)
        if content is not None:
            return json.loads(content.data)
        problems.append(f"the gates' decisions: there is no {uri}")
    except (ComponentError, OSError, ValueError) as error:
        problems.append(f"the gates' decisions: {str(error).splitlines()[0]}")
    return {}
