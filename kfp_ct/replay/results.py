"""What came of each window, one file a window, keyed by everything that it follows from."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kfp_ct.data import layouts
from kfp_ct.watch.observations import Firing

# Results of another form are made again.
FORM = 1
REACH = 1.959964  # of a 95 % interval, in standard errors


@dataclasses.dataclass(frozen=True)
class Quality:
    """A metric on the rows of a window, with its interval (95 %)."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    @property
    def error(self) -> float:
        """Its standard error."""
        return (self.high - self.low) / 2 / REACH


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run of the pipeline.

    Attributes:
        run: Its record below the replay's home; empty where nothing ran, as nothing had changed since the run before.
        data_until: End of its window: it read no row from then on.
        state: SUCCEEDED or FAILED.
        blessed: Whether its model passed every gate.
        version: The version that it registered; empty if it registered none.
        model: Names the model that was trained; the same twice if nothing had changed.
        rows: Rows that it read.
        seconds: Of all its steps, as long as they took when they ran.
        train_seconds: Of the step that trains.
        reason: Why its model was refused, or why it failed.
    """

    run: str
    data_until: str
    state: str
    blessed: bool
    version: str
    model: str
    rows: int
    seconds: float
    train_seconds: float
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Decided:
    """What a look at the triggers came to."""

    at: str
    fire: bool
    triggers: tuple[str, ...]
    reasons: tuple[str, ...]
    holds: tuple[str, ...]
    keys: tuple[str, ...] = ()
    run: Trained | None = None

    def firing(self) -> Firing:
        """Returns the firing that later looks know of."""
        state = self.run.state if self.run else "FAILED"
        return Firing(datetime.datetime.fromisoformat(self.at), self.triggers, self.keys, state)


@dataclasses.dataclass(frozen=True)
class Answered:
    """Rows of a span that a version answered; the version was trained on rows before `trained_until`."""

    start: str
    end: str
    rows: int
    version: str
    trained_until: str
    file: str = ""


@dataclasses.dataclass(frozen=True)
class WindowResult:
    """A window of a strategy.

    Attributes:
        previous: What the version served at the end of the window before would have reached on this one; None if it
            is the one that served.
        monitored: What monitoring said at the window's end; None if it had nothing to look at.
    """

    start: str
    end: str
    rows: int
    decisions: tuple[Decided, ...]
    answered: tuple[Answered, ...]
    quality: Quality
    previous: Quality | None
    monitored: dict[str, Any] | None

    @property
    def version(self) -> str:
        """The version that answers at its end."""
        return self.answered[-1].version

    @property
    def runs(self) -> list[Trained]:
        """The runs that began in it."""
        return [each.run for each in self.decisions if each.run]


class Store:
    """The results of one strategy, which hang on one another: one that does not follow from those before is none."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key

    def read(self) -> list[WindowResult]:
        """Returns the results from the first window on, as far as they are there."""
        found: list[WindowResult] = []
        key = self._key
        while (path := self._path(len(found))).is_file():
            try:
                kept = json.loads(path.read_text())
            except ValueError:
                break
            if kept.get("key") != key:
                break
            found.append(_result(kept["result"]))
            key = _next(key, kept["result"])
        return found

    def add(self, before: Sequence[WindowResult], result: WindowResult) -> None:
        """Writes the result that follows those before, under a hidden name that is then changed."""
        key = self._key
        for each in before:
            key = _next(key, _plain(each))
        layouts.write_json(self._path(len(before)), {"key": key, "result": _plain(result)})

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:04}.json"


def digest(*parts: Any) -> str:
    """Returns a key of values."""
    return hashlib.sha256(json.dumps([FORM, *parts], sort_keys=True, default=str).encode()).hexdigest()


def _plain(result: WindowResult) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dataclasses.asdict(result))))


def _next(key: str, result: dict[str, Any]) -> str:
    return digest(key, result)


def _result(fields: dict[str, Any]) -> WindowResult:
    decisions = tuple(_decided(each) for each in fields["decisions"])
    previous = fields["previous"]
    return WindowResult(
        **{
            **fields,
            "decisions": decisions,
            "answered": tuple(Answered(**each) for each in fields["answered"]),
            "quality": Quality(**fields["quality"]),
            "previous": Quality(**previous) if previous else None,
        }
    )


def _decided(fields: dict[str, Any]) -> Decided:
    run = fields["run"]
    texts = {name: tuple(fields[name]) for name in ("triggers", "reasons", "holds", "keys")}
    return Decided(fields["at"], fields["fire"], **texts, run=Trained(**run) if run else None)
