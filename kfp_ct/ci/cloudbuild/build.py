"""Runs a build configuration on this machine with Cloud Build's semantics."""

import dataclasses
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from kfp_ct.base.errors import UsageError
from kfp_ct.base.interrupts import terminable
from kfp_ct.ci.cloudbuild import config, results, source, states, view
from kfp_ct.ci.cloudbuild.config import Build, Step
from kfp_ct.ci.cloudbuild.record import LOGS, Record
from kfp_ct.ci.cloudbuild.runners import Command, ContainerRunner, HostRunner, Places, engine, is_builder
from kfp_ct.ci.cloudbuild.scheduler import Scheduler, Starter
from kfp_ct.ci.cloudbuild.states import Status, StepState
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs.record import new_id, now

EXIT_CODES = {Status.SUCCESS: 0, Status.INCOMPLETE: 5}
FAILED_EXIT_CODE = 4


@dataclasses.dataclass(frozen=True)
class BuildRequest:
    """What to build and how.

    Attributes:
        config: The configuration, a path below `source`.
        source: Folder to build from.
        commit: Commit to build; empty for the files as they lie there.
        substitutions: Values given by the user or a trigger.
        only: Labels of the only steps to run; empty for all.
        first: Label of the step to begin with; what it waits for is taken as done.
        containers: Whether to run steps in containers; None for where an engine answers.
        images: Image named in the configuration to the one to use here.
        project: What $PROJECT_ID is.
        built_in: Values of Cloud Build's own substitutions that a trigger knows better than git.
        cause: Why this build happens.
        inputs: Path in the workspace to a file that is put there.
        environment: Variables that every step sees unless it sets them itself, such as addresses of emulators.
        id: Of the build, where one waited for approval; empty for a new one.
        approval: Who approved it, when and why; empty where nobody had to.
    """

    config: Path
    source: Path
    commit: str = ""
    substitutions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    only: tuple[str, ...] = ()
    first: str = ""
    containers: bool | None = None
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    project: str = "local"
    built_in: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cause: str = "on demand"
    inputs: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    id: str = ""
    approval: Mapping[str, str] = dataclasses.field(default_factory=dict)


def run(workspace: Workspace, request: BuildRequest, console: Console) -> Record:
    """Runs a build to its end; the record is on disk as it goes.

    Raises:
        CtError: The configuration is refused, or the build cannot begin; nothing was run.
        KeyboardInterrupt: The user stopped it; the record says so.
    """
    build_id = request.id or new_id()
    folder = workspace.builds / build_id
    places = Places(folder)
    known = {**source.built_in(request.source, request.commit, build_id, request.project), **request.built_in}
    # A configuration that Cloud Build would refuse is refused before anything is copied or begun.
    path = request.source / request.config
    if request.commit:
        source.copy(request.source, places.workspace, request.commit)
        path = places.workspace / request.config
    try:
        build = config.load(path, request.substitutions, known)
        selected = _select(build, request)
        secrets = _secrets(build, selected)
        if not request.commit:
            source.copy(request.source, places.workspace)
        source.add(request.inputs, places.workspace)
    except UsageError:
        shutil.rmtree(places.workspace if request.id else folder, ignore_errors=True)
        raise
    for problem in config.refused_elsewhere(path):
        note = f"{request.config}:{problem.line}: note, {problem.by} would refuse this: {problem.message}"
        console.print(note.replace("\n", "\n  "), markup=False, highlight=False, soft_wrap=True)
    record = _record(request, build_id, build, known)
    for step, state in zip(build.steps, record.steps, strict=True):
        state.log = f"{step.index:02}-{''.join(c if c.isalnum() or c in '-_.' else '-' for c in step.label)}.log"
        if step.label not in selected:
            state.status = Status.SKIPPED
    return _execute(_Run(build, record, places, secrets, request), console)


@dataclasses.dataclass(frozen=True)
class _Run:
    build: Build
    record: Record
    places: Places
    secrets: dict[str, str]
    request: BuildRequest


def _execute(run: _Run, console: Console) -> Record:
    build, record, folder = run.build, run.record, run.places.root
    began = time.monotonic()
    available = engine()
    use_containers = bool(available) if run.request.containers is None else run.request.containers
    if use_containers and not available:
        raise UsageError(
            "no container engine answers\nexpected: Docker or Podman\nfix: start it, or give --no-containers"
        )
    record.where = "containers" if use_containers else "this machine"
    record.status = Status.WORKING
    record.save(folder)
    try:
        with terminable(), view.LiveView(record.steps, console) as live:
            scheduler = Scheduler(build, record.steps, folder / LOGS, _Saving(live, record, folder), run.secrets)
            record.status = scheduler.run(_starter(run, available, use_containers))
        if record.status is Status.SUCCESS:
            _deliver(run, available)
    except KeyboardInterrupt:
        record.status, record.detail = Status.CANCELLED, "interrupted"
        raise
    except BaseException:
        record.status = Status.FAILURE
        raise
    finally:
        record.seconds = round(time.monotonic() - began, 3)
        record.save(folder)
        for each in (run.places.workspace, folder / "volumes", folder / "home", folder / "scripts"):
            shutil.rmtree(each, ignore_errors=True)
    return record


def closing(record: Record, folder: Path) -> object:
    """Returns what is printed at the end."""
    bad = (Status.FAILURE, Status.TIMEOUT)
    failed = [state for state in record.steps if state.status in bad and not state.forgiven]
    logs = [(state, (folder / LOGS / state.log).read_text().splitlines()) for state in failed]
    return view.account(record, str(folder / LOGS), logs)


def exit_code(record: Record) -> int:
    """Returns what the command exits with: 0 only if everything ran and went well."""
    return EXIT_CODES.get(record.status, FAILED_EXIT_CODE)


class _Saving:
    """Passes events on and keeps the record on disk."""

    def __init__(self, listener: states.Listener, record: Record, folder: Path) -> None:
        self._listener, self._record, self._folder = listener, record, folder

    def started(self, state: StepState) -> None:
        self._listener.started(state)
        self._record.save(self._folder)

    def line(self, state: StepState, text: str) -> None:
        self._listener.line(state, text)

    def ended(self, state: StepState) -> None:
        self._listener.ended(state)
        self._record.save(self._folder)


def _starter(run: _Run, available: str, use_containers: bool) -> Starter:
    host = HostRunner(run.places, available)
    container = ContainerRunner(run.places, available, run.record.id, run.request.images)

    def start(step: Step) -> Command | str:
        step = dataclasses.replace(step, environment={**run.request.environment, **step.environment})
        secrets = {name: run.secrets[name] for name in step.secrets}
        why = container.unable(step) if use_containers else ""
        if use_containers and not why:
            return container.command(step, secrets)
        # A builder image only wraps a tool: where it cannot be had, the tool itself does the same.
        if use_containers and not is_builder(step):
            return why
        return host.unable(step) or host.command(step, secrets)

    return start


def _deliver(run: _Run, available: str) -> None:
    build, record = run.build, run.record
    if any(state.status is Status.SKIPPED for state in record.steps):
        record.detail = "steps were left out: nothing is delivered"
    elif lost := results.undeliverable(build, available):
        record.status, record.detail = Status.INCOMPLETE, lost
    else:
        try:
            record.images = results.push_images(build.images, available)
            results.upload(build.objects, run.places.workspace)
        except results.DeliveryError as error:
            record.status, record.detail = Status.FAILURE, str(error)


def _select(build: Build, request: BuildRequest) -> set[str]:
    labels = [step.label for step in build.steps]
    for wanted in [*request.only, *([request.first] if request.first else [])]:
        if wanted not in labels:
            raise UsageError(f"there is no step {wanted!r}\nexpected: one of {', '.join(labels)}")
    if request.only:
        return set(request.only)
    if not request.first:
        return set(labels)
    chosen = {labels.index(request.first)}
    for step in build.steps:
        if chosen.intersection(step.waits_for):
            chosen.add(step.index)
    return {labels[index] for index in chosen}


def _secrets(build: Build, selected: set[str]) -> dict[str, str]:
    """Takes the values of secrets from this process's environment, where the user has put them."""
    wanted = {name for step in build.steps if step.label in selected for name in step.secrets}
    if missing := sorted(wanted - set(os.environ)):
        raise UsageError(
            f"the secret {missing[0]} has no value on this machine\nexpected: an environment variable of its name\n"
            f"fix: {missing[0]}=… ct build …"
        )
    return {name: os.environ[name] for name in sorted(wanted)}


def _record(request: BuildRequest, build_id: str, build: Build, known: Mapping[str, str]) -> Record:
    return Record(
        id=build_id,
        config=str(request.config),
        source=str(request.source),
        commit=known["COMMIT_SHA"],
        branch=known["BRANCH_NAME"],
        cause=request.cause,
        where="",
        substitutions=build.values,
        started=now(),
        steps=states.initial(build.steps),
        approval=dict(request.approval),
    )
