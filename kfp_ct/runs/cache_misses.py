"""Why a step ran instead of being answered from the cache: what differs from the last run that could have served it."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp_ct.runs import record
from kfp_ct.runs.events import State
from kfp_ct.runs.task_inputs import Lookup, TaskInputs, read

_KINDS = {"code": "code", "module": "module", "file": "file", "environment": "environment"}
_NEVER = {
    "resolve_champion": "asks the registry",
    "resolve_sources": "looks at the sources",
    "resolve_model": "asks the registry",
    "register": "writes to the registry",
    "deploy": "publishes the model",
    "monitor": "reads a request log that grows",
}
_LONGEST_VALUE = 60


@dataclasses.dataclass(frozen=True)
class Reason:
    """One thing that kept a step from the cache.

    Attributes:
        kind: code, module, file, environment, interface, parameter, input, first_run, off, never, deleted, no_inputs or
            unknown.
        name: What it is about: a file, a parameter, an input; empty where there is nothing to name.
        text: The reason in words.
    """

    kind: str
    name: str
    text: str


@dataclasses.dataclass(frozen=True)
class StepAccount:
    """One step of a run: whether it was served from the cache, and if not, why.

    Attributes:
        step: The task's name.
        state: Its state.
        compared_with: Id of the run that it was compared with; empty if there is none.
        reasons: Why it ran; empty if it did not.
    """

    step: str
    state: str
    compared_with: str
    reasons: tuple[Reason, ...]

    @property
    def ran(self) -> bool:
        """Whether it was executed."""
        return self.state in (State.RUNNING, State.SUCCEEDED, State.FAILED)


def explain(run: record.Run, runs: Path) -> list[StepAccount]:
    """Says of every step of a run why it ran.

    Args:
        run: The record.
        runs: Folder of all runs' records.
    """
    earlier = _Earlier(run, runs)
    return [_account(run, task, runs / run.id, earlier) for task in run.tasks]


class _Earlier:
    """Runs of the same pipeline before one, newest first, read as far as they are asked for."""

    def __init__(self, run: record.Run, runs: Path) -> None:
        self._run = run
        self._folders = sorted((each for each in runs.glob("*/") if each.name < run.id), reverse=True)
        self._read: dict[Path, record.Run | None] = {}

    def last_kept(self, task: str) -> tuple[record.Run, TaskInputs] | None:
        """Returns the newest run whose result of a task the cache has kept, and the task's inputs there."""
        for folder in self._folders:
            run = self._load(folder)
            found = run.task(task) if run else None
            if run is None or found is None or found.state not in (State.SUCCEEDED, State.CACHED):
                continue
            inputs = read(folder, task)
            if inputs is not None and inputs.key:
                return run, inputs
        return None

    def _load(self, folder: Path) -> record.Run | None:
        if folder not in self._read:
            try:
                run = record.load(folder)
                same = (run.project, run.pipeline) == (self._run.project, self._run.pipeline)
                self._read[folder] = run if same else None
            except (OSError, ValueError, TypeError, KeyError):  # no record, or one of another age
                self._read[folder] = None
        return self._read[folder]


def _account(run: record.Run, task: record.Task, folder: Path, earlier: _Earlier) -> StepAccount:
    account = StepAccount(task.name, task.state, "", ())
    inputs = read(folder, task.name)
    if not account.ran:
        return account
    if inputs is None:
        return dataclasses.replace(account, reasons=(Reason("no_inputs", "", "this run kept no inputs of its steps"),))
    if inputs.lookup is Lookup.NEVER:
        why = _NEVER.get(task.component, "the pipeline says so: set_caching_options(False)")
        return dataclasses.replace(account, reasons=(Reason("never", "", f"never cached: {why}"),))
    if inputs.lookup is Lookup.OFF:
        return dataclasses.replace(account, reasons=(Reason("off", "", "caching is off (--no-cache)"),))
    if inputs.lookup is Lookup.DELETED:
        text = f"the cached artifact was deleted: {inputs.deleted}"
        return dataclasses.replace(account, reasons=(Reason("deleted", inputs.deleted, text),))
    before = earlier.last_kept(task.name)
    if before is None:
        return dataclasses.replace(account, reasons=(Reason("first_run", "", "first run of this step"),))
    return StepAccount(task.name, task.state, before[0].id, tuple(differences(run, before[1], inputs)))


def differences(run: record.Run, before: TaskInputs, now: TaskInputs) -> list[Reason]:
    """Names what differs between a task's inputs and those of an earlier run.

    Args:
        run: The run of `now`, which tells what its other steps did.
        before: The inputs of the earlier run.
        now: The inputs of this one.
    """
    found = [
        *_interface(before, now),
        *_versions(before, now),
        *_parameters(before, now),
        *_artifacts(run, before, now),
    ]
    if found:
        return found
    if before.key == now.key:
        return [Reason("deleted", "", f"its inputs are the same, but the cache had no entry {now.key[:12]} any more")]
    return [Reason("unknown", "", "none of its recorded inputs differs")]


def _interface(before: TaskInputs, now: TaskInputs) -> Iterator[Reason]:
    if before.interface != now.interface:
        yield Reason("interface", "component.py", "the component's interface changed (component.py)")


def _versions(before: TaskInputs, now: TaskInputs) -> Iterator[Reason]:
    for kind, called in _KINDS.items():
        yield from _named(before.version.get(kind, {}), now.version.get(kind, {}), kind, f"{called} {{name}}".format)


def _named(
    before: Mapping[str, str], now: Mapping[str, str], kind: str, called: Callable[..., str]
) -> Iterator[Reason]:
    """Compares names with digests; a version is told, a digest is not."""
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None or new is None:
            how = f"is new: {new}" if old is None and _is_version(new) else "is new" if old is None else "is gone"
        else:
            how = f"{old} → {new}" if _is_version(old) and _is_version(new) else "changed"
        label = f"environment: {name}" if kind == "environment" else called(name=name)
        yield Reason(kind, name, f"{label} {how}")


def _is_version(text: str | None) -> bool:
    return bool(text) and len(str(text)) < 16 and "." in str(text)


def _parameters(before: TaskInputs, now: TaskInputs) -> Iterator[Reason]:
    for path, old, new in _changes(before.parameters, now.parameters, ()):
        name = ".".join(path)
        if path == ("data_version",):
            yield Reason("parameter", name, "the data of the sources changed")
        else:
            yield Reason("parameter", name, f"parameter {name}: {_written(old)} → {_written(new)}")


_ABSENT = object()


def _changes(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, str(key)))
    elif old != new:
        yield path, old, new


def _written(value: Any) -> str:
    if value is _ABSENT:
        return "(not set)"
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    text = whole if isinstance(whole, str) and whole else json.dumps(whole, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _artifacts(run: record.Run, before: TaskInputs, now: TaskInputs) -> Iterator[Reason]:
    for name in sorted({*before.artifacts, *now.artifacts}):
        old, new = before.artifacts.get(name), now.artifacts.get(name)
        if old != new:
            yield Reason("input", name, f"input {name}: {_difference(old, new)}{_origin(run, new)}")


def _difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if old is None or new is None:
        return "was not given before" if old is None else "is not given any more"
    prints = [each["metadata"].get("fingerprint") for each in (old, new)]
    if prints[0] and prints[1]:
        return "other content" if prints[0] != prints[1] else "the same content, written again"
    versions = [str(each["metadata"]["version"] or "none") for each in (old, new) if "version" in each["metadata"]]
    if len(versions) == 2 and versions[0] != versions[1]:
        return f"version {versions[0]} → {versions[1]}"
    return "another artifact" if old["uri"] != new["uri"] else "other metadata"


def _origin(run: record.Run, artifact: Mapping[str, Any] | None) -> str:
    """Says which step an input comes from, and whether that step ran again."""
    uri = artifact["uri"] if artifact else ""
    made_by = [task for task in run.tasks if uri and uri in (each.get("uri") for each in task.artifacts.values())]
    if not made_by:
        return ""
    how = "from another cached result" if made_by[0].state == State.CACHED else "ran again"
    return f" ({made_by[0].name} {how})"


def summary(accounts: Iterable[StepAccount]) -> dict[str, list[str]]:
    """Returns the reasons of the steps that ran, in words, by step."""
    return {each.step: [reason.text for reason in each.reasons] for each in accounts if each.ran}
