"""Two runs side by side: where their inputs, data, metrics and decisions differ, and what is behind it."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kfp_ct.runs.events import State
from kfp_ct.runs.run_facts import CODE, DATA, LINEAGE, RunFacts, StepFacts

# Where things lie and what they are served by: of the place that a run has, not of its result.
PLACES = ("registry_uri", "serving_root", "serving", "checkpoints", "request_log", "labels", "history", "destination")
# What runs come to; if nothing of it can be compared, runs are not called the same.
RESULTS = ("data", "metrics", "outputs", "gates")
# Steps whose output parameters are a store's or a registry's: checksums, keys, numbers of versions.
_ASKING = ("resolve-sources", "resolve-champion", "resolve-model", "register")
# Endings of numbers that are measured of a machine.
_OF_THE_MACHINE = ("_ms", "_seconds", "_mb", "_per_second", "_per_s", "load_s")
# Metadata that names one object among others of its kind.
_IDENTITIES = ("version", "uri", "path", "run", "run_id", "seconds", "training_key", "model_fingerprint", "name")
_ABSENT = None
_LEFT_OUT = "left out"


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing in which two runs differ.

    Attributes:
        section: inputs, data, metrics, outputs, gates, steps; or places, versions, machine, states.
        name: What it is.
        first: Its value in the first run; None where that has it not.
        second: Its value in the second run; None where that has it not.
        decides: Whether the runs are not the same because of it.
    """

    section: str
    name: str
    first: Any
    second: Any
    decides: bool


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What came of comparing two runs.

    Attributes:
        differences: Where they differ, deciding ones first.
        compared: How many of the runs' results (data, metrics, outputs, gates) were held against each other.
        not_told: What a place does not say of its run.
    """

    differences: tuple[Difference, ...]
    compared: int
    not_told: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing that decides differs, and there were results to compare."""
        return bool(self.compared) and not any(each.decides for each in self.differences)


@dataclasses.dataclass(frozen=True)
class _Line:
    section: str
    name: str
    value: Any
    decides: bool = True


def compare(first: RunFacts, second: RunFacts, tolerance: float = 0.0) -> Comparison:
    """Compares two runs.

    Args:
        first: One run.
        second: The other one.
        tolerance: How far apart numbers of the same metric may be.
    """
    runs = (first, second)
    sides = [{(line.section, line.name): line for line in _lines(run)} for run in runs]
    names = [name for name in dict.fromkeys([*sides[0], *sides[1]]) if not _is_untold(name, sides, runs)]
    found = [_difference(sides[0].get(name), sides[1].get(name), tolerance) for name in names]
    differences = sorted((each for each in found if each), key=lambda each: not each.decides)
    compared = sum(name[0] in RESULTS for name in names if name in sides[0] and name in sides[1])
    told = [f"{run.where} {run.run}: {text}" for run in runs for text in run.not_told]
    return Comparison(tuple(differences), compared, tuple(told))


def _difference(first: _Line | None, second: _Line | None, tolerance: float) -> Difference | None:
    line = first or second
    if line is None or (first and second and _alike(first.value, second.value, tolerance)):
        return None
    values = [each.value if each else _ABSENT for each in (first, second)]
    return Difference(line.section, line.name, values[0], values[1], line.decides)


def _alike(first: Any, second: Any, tolerance: float) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first == second or abs(first - second) <= tolerance or (math.isnan(first) and math.isnan(second))
    return bool(first == second)


def _is_untold(name: tuple[str, str], sides: list[dict[tuple[str, str], _Line]], runs: Sequence[RunFacts]) -> bool:
    """Whether a run's place may have a thing and just not say so."""
    return any(name not in side and name[0] in run.partial for side, run in zip(sides, runs, strict=True))


def _lines(run: RunFacts) -> Iterator[_Line]:
    yield _Line("steps", "the run", run.state)
    for path, value in _flat(run.parameters, ()):
        yield from _input(path, value)
    for name, text in run.versions.items():
        yield _Line("versions", name, text, decides=False)
    for name, step in run.steps.items():
        yield from _of_step(name, step)


def _input(path: tuple[str, ...], value: Any) -> Iterator[_Line]:
    top, name = path[0], ".".join(path)
    if top in (LINEAGE, CODE):
        yield _Line("versions", name, value, decides=False)
    # The version of the data is of a store's own checksums: another one for the same files elsewhere.
    elif top in (*PLACES, DATA) or (top == "sources" and path[-1] == "uri"):
        yield _Line("places", name, value, decides=False)
    else:
        yield _Line("inputs", name, value)


def _of_step(name: str, step: StepFacts) -> Iterator[_Line]:
    if (did := _did(step.state)) == _LEFT_OUT:
        return  # not every place lists what it left out
    yield _Line("steps", name, did)
    yield _Line("states", name, step.state, decides=False)
    for key, value in step.outputs.items():
        decides = name not in _ASKING
        yield _Line("outputs" if decides else "places", f"{name} {key}", _plain(value), decides)
    for artifact, said in step.artifacts.items():
        for path, value in _flat(said, ()):
            of_result = path[-1] not in _IDENTITIES
            yield _Line("data" if of_result else "places", f"{name} {artifact}.{'.'.join(path)}", value, of_result)
    for metric, number in step.metrics.items():
        of_machine = metric.endswith(_OF_THE_MACHINE)
        yield _Line("machine" if of_machine else "metrics", f"{name} {metric}", number, not of_machine)
    for gate, passed in step.checks.items():
        yield _Line("gates", f"{name} {gate}", passed)


def _did(state: str) -> str:
    """Returns what a state comes to, in whichever words: whether the step has a result."""
    return {str(State.CACHED): "done", str(State.SUCCEEDED): "done", str(State.SKIPPED): _LEFT_OUT}.get(
        state, state.lower()
    )


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and (value or not path):
        for key, each in value.items():
            yield from _flat(each, (*path, str(key)))
    else:
        yield path, _plain(value)


def _plain(value: Any) -> Any:
    """Returns a value as JSON gives it back: a whole number is one, whether it passed as 3 or 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [_plain(each) for each in value]
    return value
