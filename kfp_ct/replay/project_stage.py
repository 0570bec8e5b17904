"""A project on a replay's stage: its pipeline by the runner, its models and traffic by the worker."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from kfp_ct.base.errors import RunFailedError, UsageError
from kfp_ct.local import run as runner
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay.plan import Plan, Span, Strategy
from kfp_ct.replay.results import Answered, Decided, Quality, Trained, digest
from kfp_ct.replay.settings import moment
from kfp_ct.replay.worker_client import WorkerClient
from kfp_ct.runs import record
from kfp_ct.runs.events import State
from kfp_ct.watch import observations, observe
from kfp_ct.watch.observations import Period

# What says where the results of runs go; a replay has places of its own.
_PLACES = ("registry_uri", "serving_root", "model_name")
_LONGEST = 40  # letters of a name that become part of a model's


@dataclasses.dataclass(frozen=True)
class Scene:
    """One strategy's place: settings, models and files of its own; data and cache are shared by all.

    Attributes:
        workspace: The repository with the replay's home in place of the user's.
        project: The project.
        plan: The time.
        strategy: The strategy.
        parameters: What its runs are given beyond the settings.
        key: Names everything that its results follow from.
        data: Names the sources' content and the query.
    """

    workspace: Workspace
    project: str
    plan: Plan
    strategy: Strategy
    parameters: Mapping[str, Any]
    key: str
    data: str

    @property
    def model(self) -> str:
        """The name that its models are registered and served by."""
        return str(self.parameters["model_name"])

    @property
    def folder(self) -> Path:
        """Where what is its own lies."""
        return self.workspace.home / "strategies" / self.model

    @functools.cached_property
    def settings(self) -> settings.Settings:
        """The settings of its runs, complete."""
        return settings.load(self.workspace, self.project, self.plan.replay.settings, self.parameters)


def scene(workspace: Workspace, project: str, plan: Plan, strategy: Strategy) -> Scene:
    """Sets a strategy's scene; everything that can be wrong without running has been looked at then.

    Raises:
        CtError: The settings do not fit, or this machine is not set up.
    """
    own = {**plan.replay.parameters, **strategy.parameters}
    if "window_end" in own:
        raise UsageError(
            f"{strategy.name} sets window_end\nexpected: the replay's time says it\nfix: take it out of the parameters"
        )
    given = settings.load(workspace, project, plan.replay.settings, own).parameters
    places = {
        "registry_uri": f"sqlite:///{workspace.home}/registry/mlflow.db",
        "serving_root": str(workspace.home / "serving"),
    }
    if missing := [name for name in (*_PLACES, "label", "query", "sources") if name not in given]:
        raise UsageError(
            f"the pipeline of {project} has no setting {', '.join(missing)}\n"
            "expected: a training pipeline like pipelines/training.py\nfix: replay a project that trains a model"
        )
    if "checkpoints" in given:
        places["checkpoints"] = str(workspace.home / "checkpoints")
    if "serving" in given:
        own["serving"] = {"target": "folder"}
    base = {**own, **places, "model_name": given["model_name"], "window_end": plan.windows[0].texts[0]}
    request = runner.RunRequest(project, plan.replay.settings, base)
    prepared = runner.prepare(workspace, request)
    ran = {name: value for name, value in prepared.arguments.items() if name not in ("lineage", "window_end")}
    key = digest(prepared.run.code_version, ran, plan.replay.model_dump(exclude={"compare", "end"}, mode="json"),
                 strategy.kind, strategy.policy.model_dump(mode="json") if strategy.policy else None)  # fmt: skip
    name = "".join(each if each.isalnum() else "-" for each in strategy.name)[:_LONGEST].strip("-") or "policy"
    parameters = {**own, **places, "model_name": f"{given['model_name']}-{name}-{key[:10]}"}
    data = digest(prepared.arguments.get("data_version", ""), (workspace.root / given["query"]).read_text())
    return Scene(workspace, project, plan, strategy, parameters, key, data)


class ProjectStage:
    """Trains by the runner, and has the worker answer and monitor."""

    def __init__(self, scene: Scene, worker: WorkerClient, rules: Mapping[str, Any]) -> None:
        self._scene, self._worker, self._rules = scene, worker, rules
        self._registry = str(scene.parameters["registry_uri"])
        self._answers = scene.folder / "answers"

    def train(self, data: Span, decided: Decided) -> Trained:
        """Runs the pipeline on the rows up to a time.

        Raises:
            CtError: The first model was refused, or the first run failed: nothing can be served.
        """
        scene = self._scene
        overrides = {**scene.parameters, "window_end": data.texts[1]}
        cause = "; ".join(f"{name}: {reason}" for name, reason in zip(decided.triggers, decided.reasons, strict=True))
        request = runner.RunRequest(scene.project, scene.plan.replay.settings, overrides, cause=cause, silent=True)
        done = runner.execute(scene.workspace, request, Console(quiet=True))
        if done.state == record.INTERRUPTED:
            raise KeyboardInterrupt
        return _trained(done, data, _seconds_by_artifact(scene.workspace))

    def answer(self, span: Span) -> Answered:
        """Has the served model answer the rows of a span."""
        rows = self._read(span)
        if not rows:
            return Answered(*span.texts, rows=0, version="", trained_until="")
        scene = self._scene
        champion = self._worker.ask("champion", registry=self._registry, model=scene.model)
        file = self._answers / f"{digest(*span.texts)[:16]}.parquet"
        where = {"serving": str(scene.workspace.home / "serving"), "model": scene.model,
                 "log": str(scene.folder / "request_log"), "answers": str(file)}  # fmt: skip
        found = self._worker.ask("answer", where=where, span=span.texts, **self._examples(span))
        if found["version"] != champion["version"]:
            raise RunFailedError(
                f"the service answers by version {found['version']}, the champion is {champion['version']}\n"
                f"fix: remove {scene.folder} and replay again"
            )
        return Answered(*span.texts, rows, found["version"], champion["trained_until"], str(file))

    def measure(self, answered: tuple[Answered, ...]) -> Quality:
        """Compares answers with what became known of their rows."""
        return self._measured([each.file for each in answered], answered[-1].version)

    def measure_version(self, answered: tuple[Answered, ...], version: str) -> Quality:
        """Returns what another version would have reached on the rows of these answers."""
        files = []
        for each in answered:
            span = Span(moment(each.start), moment(each.end))
            file = str(self._answers / f"{digest(*span.texts, version)[:16]}.parquet")
            about = {**self._examples(span), "answers": file}
            which = {"registry": self._registry, "model": self._scene.model, "version": version}
            self._worker.ask("answer_by", **which, about=about)
            files.append(file)
        return self._measured(files, version)

    def monitor(self, window: Span, labelled: tuple[Answered, ...]) -> dict[str, Any]:
        """Examines a window's traffic, with the labels of these answers; returns the line of the history."""
        scene = self._scene
        where = {
            "registry": self._registry, "model": scene.model, "log": str(scene.folder / "request_log"),
            "history": self._history, "folder": str(scene.folder / "monitoring" / window.texts[0][:10]),
        }  # fmt: skip
        files = [each.file for each in labelled]
        return self._worker.ask("monitor", where=where, window=window.texts, rules=dict(self._rules), labelled=files)

    def periods(self) -> tuple[Period, ...]:
        """Returns what monitoring has found so far."""
        return observe.periods(self._history)

    @property
    def _history(self) -> str:
        return str(self._scene.folder / "monitoring.jsonl")

    def _measured(self, files: list[str], version: str) -> Quality:
        found = self._worker.ask(
            "measure", registry=self._registry, model=self._scene.model, version=version, files=files
        )
        return Quality(**found)

    def _examples(self, span: Span) -> dict[str, str]:
        return {"examples": str(self._window_folder(span)), "label": str(self._scene.settings.parameters["label"])}

    def _read(self, span: Span) -> int:
        """Reads the rows of a span, once for all strategies; returns how many there are."""
        folder = self._window_folder(span)
        return int(self._worker.ask("read", request=self._request(span), folder=str(folder))["rows"])

    def _window_folder(self, span: Span) -> Path:
        name = digest(self._request(span), self._scene.data)[:16]
        return self._scene.workspace.home / "windows" / f"{span.texts[0][:10]}-{name}"

    def _request(self, span: Span) -> dict[str, Any]:
        given = self._scene.settings.parameters
        return {
            "sources": given["sources"], "query": given["query"], "split": {}, "window_start": span.texts[0],
            "window_end": span.texts[1], "max_bad_fraction": given.get("max_bad_fraction", 0.02),
            "options": given.get("ingest_options", {}),
        }  # fmt: skip


def _trained(run: record.Run, data: Span, seconds: Mapping[str, float]) -> Trained:
    register, train, ingest = (run.task(name) for name in ("register", "train", "ingest"))
    registered = bool(register and register.state in (State.SUCCEEDED, State.CACHED))
    deployed = run.task("deploy")
    served = registered and bool(deployed and deployed.state == State.SUCCEEDED)
    rows = ingest.artifacts.get("examples", {}).get("metadata", {}).get("rows", {}) if ingest else {}
    return Trained(
        run=run.id,
        data_until=data.texts[1],
        state=observations.SUCCEEDED if run.state == record.SUCCEEDED else observations.FAILED,
        blessed=bool(run.blessed),
        version=str(register.parameters.get("version", "")) if register and served else "",
        model=train.artifacts.get("model", {}).get("uri", "") if train else "",
        rows=sum(rows.values()),
        seconds=round(sum(_took(task, seconds) for task in run.tasks), 1),
        train_seconds=round(_took(train, seconds), 1) if train else 0.0,
        reason=_reason(run),
    )


def _reason(run: record.Run) -> str:
    """Says why a model is not served: the first line of each error, or of each gate that said no."""
    errors = [task.error for task in run.tasks if task.error]
    if errors:
        return errors[0].splitlines()[0]
    if run.blessed:
        return ""
    places = ("evaluate", "evaluation"), ("validate-infra", "infra_validation")
    gates = [gate for place in places for gate in run.summary(*place).get("checks", ())]
    return "; ".join(str(gate["reason"]) for gate in gates if not gate["passed"])


def _took(task: record.Task, seconds: Mapping[str, float]) -> float:
    """Returns how long a step took when it ran: one that the cache answered took no time in this run."""
    if task.state != State.CACHED:
        return task.seconds
    return max((seconds.get(each["uri"], 0.0) for each in task.artifacts.values()), default=0.0)


def _seconds_by_artifact(workspace: Workspace) -> dict[str, float]:
    """Returns how long the steps took that ran in this replay, by the artifacts that they left."""
    found: dict[str, float] = {}
    for path in workspace.runs.glob(f"*/{record.RECORD}"):
        for task in json.loads(path.read_text())["tasks"]:
            if task["state"] == State.SUCCEEDED:
                found |= dict.fromkeys(_uris(task["artifacts"].values()), float(task["seconds"]))
    return found


def _uris(artifacts: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(each["uri"]) for each in artifacts]
