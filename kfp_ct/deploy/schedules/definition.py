"""When a project's pipelines run on a service: schedules.yaml."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.clock import cron
from kfp_ct.clock.durations import duration
from kfp_ct.project.workspace import Workspace

FILE = "schedules.yaml"
SCHEMA = Path(__file__).with_name("schedules.schema.json")
LATEST = "latest"


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One schedule; what its fields mean is said in schedules.schema.json.

    Attributes:
        cron: Six fields, seconds first; empty where it has an interval.
        interval: Seconds between firings; 0 where it has a cron expression.
    """

    name: str
    cron: str = ""
    interval: int = 0
    time_zone: str = "UTC"
    pipeline: str = "training"
    settings: str = ""
    version: str = LATEST
    window: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    max_concurrency: int = 1
    catch_up: bool = False
    enabled: bool = True

    @property
    def overrides(self) -> dict[str, Any]:
        """Returns what its runs have beyond the settings."""
        # ingest works a relative window out when it runs.
        window = {"window_start": self.window, "window_end": ""} if self.window else {}
        return {**window, **self.parameters}


def load(workspace: Workspace, project: str) -> list[Schedule]:
    """Reads a project's schedules.yaml; none if there is no such file.

    Raises:
        UsageError: It says something that cannot be.
    """
    path = workspace.settings_folder(project).parent / FILE
    return parse(path.read_text(), path) if path.is_file() else []


def parse(text: str, path: Path) -> list[Schedule]:
    """Reads the text of a schedules.yaml.

    Raises:
        UsageError: It says something that cannot be.
    """
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    problems = [
        "- " + ".".join(map(str, error.absolute_path)) + f": {error.message}" for error in validator.iter_errors(tree)
    ]
    if problems:
        raise UsageError(f"{path} cannot be used\n" + "\n".join(problems) + f"\nexpected: as {SCHEMA.name} says")
    found = [_schedule(item, path) for item in tree["schedules"]]
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"{path}: two schedules have the name {min(twice)!r}")
    return found


def _schedule(item: dict[str, Any], path: Path) -> Schedule:
    where = f"{path}: {item['name']}"
    interval = int(duration(item["interval"])) if "interval" in item else 0
    if "interval" in item and interval < 1:
        raise UsageError(f"{where}: interval {item['interval']!r}\nexpected: one second at least")
    if item.get("catch_up") and item.get("window"):
        raise UsageError(
            f"{where}: catch_up and window exclude each other: a window is worked out when a run begins, so all that "
            "were missed would read the same one\nfix: leave out one of them"
        )
    cron.zone(item.get("time_zone", "UTC"), f"{where}: time_zone")
    expression = cron.six_fields(item["cron"], f"{where}: cron") if "cron" in item else ""
    return Schedule(**{**item, "cron": expression, "interval": interval})
