"""What may start a run by itself: the project's triggers.yaml."""

import dataclasses
import datetime
import zoneinfo
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.clock.durations import PATTERN, duration

FILE = "triggers.yaml"
ON_DEMAND, SCHEDULE, NEW_DATA, PERFORMANCE, DISTRIBUTION = KINDS = (
    "on_demand", "schedule", "new_data", "performance", "distribution",
)  # fmt: skip
_SPAN = {"type": "string", "pattern": f"^{PATTERN.pattern}$"}
_HOURS = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"}
_COUNT = {"type": "integer", "minimum": 1}
_NAMES = {"type": "array", "items": {"type": "string"}}

_FIELDS: dict[str, dict[str, Any]] = {
    ON_DEMAND: {},
    SCHEDULE: {"cron": {"type": "string"}, "job": {"type": "string", "minLength": 1}},
    NEW_DATA: {
        "min_files": _COUNT,
        "min_rows": _COUNT,
        "settle": _SPAN,
        "max_wait": _SPAN,
        "marker": {"type": "string", "pattern": "^[^/*?\\[]+$"},
    },
    PERFORMANCE: {"min_value": {"type": "number"}, "max_loss": {"type": "number", "minimum": 0}, "periods": _COUNT},
    DISTRIBUTION: {
        "features": {"type": "array", "items": {"type": "string"}},
        "min_features": _COUNT,
        "periods": _COUNT,
    },
}


def _trigger_schema(kind: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "kind": {"const": kind}, **_FIELDS[kind]},
        "required": ["name", "kind"],
        "additionalProperties": False,
    }


_SCHEMA = {
    "type": "object",
    "properties": {
        "settings": {"type": "string"},
        "parameters": {"type": "object"},
        "time_zone": {"type": "string"},
        "cooldown": _SPAN,
        "daily_budget": _COUNT,
        "quiet_hours": {"type": "array", "items": _HOURS},
        "history": {"type": "string"},
        "triggers": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name", "kind"]}},
    },
    "required": ["triggers"],
    "additionalProperties": False,
}


@dataclasses.dataclass(frozen=True)
class Trigger:
    """One reason to run. What each kind takes is said in docs/triggers.md."""

    name: str
    kind: str
    cron: str = ""
    job: str = ""
    min_files: int = 1
    min_rows: int = 0
    settle: float = 0.0
    max_wait: float = 0.0
    marker: str = ""
    min_value: float | None = None
    max_loss: float | None = None
    features: tuple[str, ...] = ()
    min_features: int = 1
    periods: int = 1


@dataclasses.dataclass(frozen=True)
class Policy:
    """All reasons to run, and what holds them back; times in seconds.

    Attributes:
        settings: Settings file of the runs.
        parameters: Settings of the runs beyond those of the file.
        cooldown: Time after a run's start in which no other begins by itself.
        daily_budget: Runs that may begin by themselves on one day.
        quiet_hours: Times of day, start and end, in which none begins; the end may be on the next day.
        history: File that the monitor component keeps, which performance and distribution are read from.
    """

    triggers: tuple[Trigger, ...]
    settings: str = "local"
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    time_zone: datetime.tzinfo = datetime.UTC
    cooldown: float = 0.0
    daily_budget: int = 24
    quiet_hours: tuple[tuple[datetime.time, datetime.time], ...] = ()
    history: str = ""

    @property
    def markers(self) -> frozenset[str]:
        """Names of the files that say that data is fit to be used."""
        return frozenset(trigger.marker for trigger in self.triggers if trigger.marker)


def load(path: Path) -> Policy:
    """Reads triggers.yaml.

    Raises:
        UsageError: It is not there, or says something that cannot be.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"there is no {path}\nexpected: triggers: [{{name: new data, kind: new_data}}]") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    _demand(tree, _SCHEMA, path, "")
    for index, item in enumerate(tree["triggers"]):
        if item["kind"] not in KINDS:
            raise UsageError(f"{path}: triggers[{index}].kind is {item['kind']!r}\nexpected: one of {', '.join(KINDS)}")
        _demand(item, _trigger_schema(item["kind"]), path, f"triggers[{index}].")
    names = [item["name"] for item in tree["triggers"]]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{path}: two triggers have the name {min(twice)!r}")
    return _policy(tree, path)


def _policy(tree: dict[str, Any], path: Path) -> Policy:
    try:
        zone = zoneinfo.ZoneInfo(tree.get("time_zone", "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f"{path}: there is no time zone {tree['time_zone']!r}\nexpected: such as Europe/Berlin"
        ) from error
    hours = []
    for text in tree.get("quiet_hours", []):
        start, end = (datetime.time.fromisoformat(part) for part in text.split("-"))
        hours.append((start, end))
    return Policy(
        triggers=tuple(_trigger(item, path) for item in tree["triggers"]),
        settings=tree.get("settings", "local"),
        parameters=tree.get("parameters", {}),
        time_zone=zone,
        cooldown=duration(tree.get("cooldown", "0s")),
        daily_budget=tree.get("daily_budget", 24),
        quiet_hours=tuple(hours),
        history=tree.get("history", ""),
    )


def _trigger(item: dict[str, Any], path: Path) -> Trigger:
    from cronsim import CronSim, CronSimError

    fields = {**item, "features": tuple(item.get("features", ()))}
    for name in ("settle", "max_wait"):
        if name in fields:
            fields[name] = duration(fields[name])
    trigger = Trigger(**fields)
    if trigger.cron:
        try:
            CronSim(trigger.cron, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        except CronSimError as error:
            raise UsageError(
                f"{path}: {trigger.name}: {trigger.cron!r} is no cron expression\n"
                "expected: minute hour day month weekday, such as 0 6 * * 1"
            ) from error
    if trigger.kind == SCHEDULE and bool(trigger.cron) == bool(trigger.job):
        raise UsageError(f"{path}: {trigger.name} goes by no clock or by two\nexpected: cron or job")
    if trigger.kind == PERFORMANCE and trigger.min_value is None and trigger.max_loss is None:
        raise UsageError(f"{path}: {trigger.name} compares with nothing\nexpected: min_value or max_loss")
    return trigger


def _demand(value: Any, schema: dict[str, Any], path: Path, where: str) -> None:
    error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(value)), None)
    if error is not None:
        place = where + ".".join(str(part) for part in error.absolute_path)
        raise UsageError(f"{path}: {place}: {error.message}".replace(": :", ":"))
