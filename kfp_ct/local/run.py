"""Runs a project's pipeline on this machine: compile, check, run, record, report."""

import contextlib
import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from kfp_ct.base import redaction, secrets
from kfp_ct.base.errors import ComponentError, UsageError, listed
from kfp_ct.base.interrupts import terminable
from kfp_ct.caching import made_texts
from kfp_ct.caching.package_versions import PackageVersions
from kfp_ct.caching.task_version import ImageVersions, SourceVersions, Versions
from kfp_ct.clock import windows
from kfp_ct.data import source_version
from kfp_ct.local import task_environments
from kfp_ct.local.engine import Engine, described
from kfp_ct.local.task_call import LOCAL_IMAGE
from kfp_ct.local.task_servers import TaskServers
from kfp_ct.local.terminal_view import LiveView
from kfp_ct.notices import deliver
from kfp_ct.notices import settings as notice_settings
from kfp_ct.package import check, package, processes
from kfp_ct.package.processes import Installation
from kfp_ct.project import settings
from kfp_ct.project import workspace as project
from kfp_ct.project.environments import require_component_python, task_python
from kfp_ct.report import report
from kfp_ct.runs import record
from kfp_ct.runs.events import State

if TYPE_CHECKING:
    from kfp_ct.local.containers import Containers


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """What to run and why."""

    project: str
    environment: str = "local"
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    use_cache: bool = True
    cause: str = "on demand"
    container_image: str = ""  # run every task in a container of it; empty for processes
    decision: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of the trigger that wants it
    pipeline_root: str = ""  # containers hand artifacts on through this object store; empty for the local folder
    silent: bool = False  # nobody is told how it ends


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that can start: everything that can be wrong without running has been looked at."""

    run: record.Run
    compiled: package.Package
    arguments: dict[str, Any]
    made_of: PackageVersions
    containers: "Containers | None" = None
    silent: bool = False


def compile_project(
    workspace: project.Workspace, chosen: settings.Settings, runs_here: bool = False
) -> package.Package:
    """Compiles a project's pipeline with its settings as defaults, and checks both, with the files that are named."""
    project.make_importable(workspace)
    compiled = package.compile_pipeline(chosen.pipeline, chosen.pipeline_name)
    settings.validate(chosen, compiled, workspace, made_texts.named_files(workspace, runs_here))
    compiled = package.with_defaults(compiled, chosen.parameters)
    if chosen.keras:
        compiled = package.with_keras(compiled, chosen.keras)
    check.check(compiled)
    return compiled


def prepare(workspace: project.Workspace, request: RunRequest) -> Prepared:
    """Compiles, checks and completes a run's arguments.

    Raises:
        CtError: The settings do not fit, the package is bad, or this machine is not set up.
    """
    chosen = _dated(settings.load(workspace, request.project, request.environment, request.overrides))
    if not request.container_image:
        require_component_python(workspace.root)
    compiled = runnable(compile_project(workspace, chosen, runs_here=not request.container_image))
    require_variables(chosen.parameters)
    notice_settings.load(workspace, request.project)  # a mistake is said now, not when it matters
    run = _new_run(workspace, request, chosen)
    containers = _containers(workspace, request, chosen.parameters)
    prepared = complete(workspace, run, compiled, chosen.parameters, containers)
    return dataclasses.replace(prepared, silent=request.silent)


def require_variables(parameters: Mapping[str, Any]) -> None:
    """Raises `UsageError` unless every environment variable that arguments refer to is set."""
    if problems := secrets.unset(parameters):
        raise UsageError(
            f"the tasks would miss environment variables\n{listed(problems)}\nfix: export them, then run again"
        )


def runnable(compiled: package.Package) -> package.Package:
    """Returns a package as its tasks run as processes here.

    Raises:
        UsageError: They cannot; says which and why.
    """
    fitted = processes.fitted(compiled)
    if problems := list(processes.problems(fitted)):
        engine = "where a container engine is, `ct run FILE --containers` runs the package; or deploy the pipeline"
        fix = "deploy the pipeline" if any(processes.only_on_clusters(fitted)) else engine
        raise UsageError(
            f"this machine cannot run the pipeline\n{listed(problems)}\nexpected: Python components\nfix: {fix}"
        )
    return fitted


def complete(
    workspace: project.Workspace,
    run: record.Run,
    compiled: package.Package,
    given: Mapping[str, Any],
    containers: "Containers | None" = None,
) -> Prepared:
    """Gives a run its tasks, its versions and its arguments.

    Arguments are the package's defaults, over them what describes the run itself, over both what is given.
    """
    run.tasks = record.tasks(compiled)
    inputs, defaults = package.inputs(compiled), package.defaults(compiled)
    versions: Versions = ImageVersions(workspace, containers.image) if containers else SourceVersions(workspace)
    made_of = PackageVersions(compiled, {**defaults, **given}, versions)
    # The name of an image stands for its content; without one that is what the tasks are made of.
    run.code_version = containers.version if containers else made_of.digest
    run.image = containers.image if containers else LOCAL_IMAGE.format(version=run.code_version)
    training = containers.version if containers else made_of.training
    described = _automatic(workspace, {**defaults, **given}, run, training)
    completed = {name: value for name, value in described.items() if name in inputs}
    run.parameters = package.typed(compiled, {**defaults, **completed, **given})
    return Prepared(run, package.in_image(compiled, run.image), run.parameters, made_of, containers)


def execute(workspace: project.Workspace, request: RunRequest, console: Console) -> record.Run:
    """Runs a project's pipeline to the end; returns the closed record, whose report is beside it.

    Raises:
        RunFailedError: A step failed; the record says which and why.
    """
    return perform(workspace, prepare(workspace, request), console, request.use_cache)


def perform(workspace: project.Workspace, prepared: Prepared, console: Console, use_cache: bool = True) -> record.Run:
    """Runs what was prepared, to the end; returns the closed record, whose report is beside it."""
    run = prepared.run
    environments = _environments(workspace, prepared)
    folder = workspace.runs / run.id
    _make_writable(folder / "logs")
    package.write_package(prepared.compiled, folder / "package.yaml")
    recorder = record.Recorder(run, folder)
    state = record.INTERRUPTED
    try:
        with terminable(), LiveView(run, console) as view:
            engine = Engine(workspace, [recorder, view], prepared.made_of, use_cache)
            log = folder / "logs" / "kfp.log"
            with _tasks(workspace, prepared, folder, environments) as tasks:
                succeeded = engine.run(prepared.compiled, prepared.arguments, tasks, log)
        run.outputs = described(engine.ended.outputs)
        state = record.SUCCEEDED if succeeded and _all_known(run) else record.FAILED
    finally:
        recorder.finish(state)
        report.write(run, folder)
        if not prepared.silent:
            deliver.begin(workspace, run.project)
    return run


def _dated(chosen: settings.Settings) -> settings.Settings:
    """Gives a window such as `last 90 days` its dates, so that caches and the record of a run have them."""
    start, end = (chosen.parameters.get(name, "") for name in ("window_start", "window_end"))
    if not isinstance(start, str) or not isinstance(end, str) or not windows.is_relative(start):
        return chosen
    try:
        start, end = windows.absolute(start, end, datetime.datetime.now(datetime.UTC))
    except ValueError:  # what is wrong with it is said with everything else that is
        return chosen
    dates = {"window_start": start, "window_end": end}
    return dataclasses.replace(chosen, parameters={**chosen.parameters, **dates})


def _containers(workspace: project.Workspace, request: RunRequest, arguments: Mapping[str, Any]) -> "Containers | None":
    if not request.container_image:
        return None
    from kfp_ct.local.containers import Containers, folders_for  # the engine's client takes long to import
    from kfp_ct.local.handover import Handover

    folders = folders_for(arguments, workspace.root)
    workspace.home.mkdir(parents=True, exist_ok=True)
    handover = Handover(request.pipeline_root, workspace.artifacts) if request.pipeline_root else None
    return Containers(request.container_image, folders, workspace.home, handover)


def _tasks(
    workspace: project.Workspace, prepared: Prepared, folder: Path, environments: Mapping[Installation, Path]
) -> "contextlib.AbstractContextManager[TaskServers | Containers]":
    if prepared.containers:
        return contextlib.nullcontext(prepared.containers)
    log = folder / "logs" / "servers.log"
    servers = TaskServers(task_python(workspace.root), workspace.root, log, environments)
    return servers.expect(package.commands(prepared.compiled))


def _environments(workspace: project.Workspace, prepared: Prepared) -> dict[Installation, Path]:
    if prepared.containers:
        return {}
    return task_environments.prepare(prepared.compiled, workspace.home, task_python(workspace.root))


def _new_run(workspace: project.Workspace, request: RunRequest, chosen: settings.Settings) -> record.Run:
    return record.new_run(
        workspace,
        project=chosen.project,
        environment=chosen.environment,
        pipeline=chosen.pipeline,
        cause=redaction.redact(request.cause),
        decision=dict(request.decision),
        pipeline_root=request.pipeline_root,
    )


def _automatic(
    workspace: project.Workspace, arguments: Mapping[str, Any], run: record.Run, training: str
) -> dict[str, Any]:
    """Fills inputs that describe the run itself."""
    sources = arguments.get("sources")
    lineage = {"run": run.id, "commit": run.commit, "image": run.image, "cause": run.cause, "user": run.user}
    return {
        "data_version": _data_version(sources if isinstance(sources, Mapping) else {}, workspace, arguments),
        "code_version": training,
        "lineage": lineage,
    }


def _data_version(sources: Mapping[str, Any], workspace: project.Workspace, arguments: Mapping[str, Any]) -> str:
    """Fingerprints the sources before anything runs, so that a run is a hit or is not by what its record says."""
    try:
        return source_version.source_version(sources, workspace.root, arguments.get("ingest_options"))
    except ComponentError as error:
        raise UsageError(str(error)) from error


def _all_known(run: record.Run) -> bool:
    """Whether every task has an end state that a run which succeeded can have; one without is a failure that says so.

    The order of tasks, their processes and the verdict on the run are three places: this holds them together.
    """
    for task in run.tasks:
        if task.state in (State.PENDING, State.RUNNING):
            task.state, task.error = State.FAILED, "nobody knows how it ended\nfix: see logs/kfp.log of the run"
    return all(task.state in (State.SUCCEEDED, State.CACHED, State.SKIPPED) for task in run.tasks)


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}\nexpected: a folder this user may write\n"
            "fix: set CT_HOME (or pass --home) to one"
        ) from error
