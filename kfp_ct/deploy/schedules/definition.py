"""When a project's pipelines run on a service: schedules.yaml."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kfp_ct.base.settings import WHOLE, Settings, Text, matching, misfit
from kfp_ct.clock import cron, windows
from kfp_ct.clock.duration_settings import DurationOrNone
from kfp_ct.clock.durations import duration
from kfp_ct.clock.time_settings import ServiceCron, Zone
from kfp_ct.project import yaml_file
from kfp_ct.project.workspace import Workspace

FILE = "schedules.yaml"
LATEST = "latest"
Name = Annotated[
    str, matching("^[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$", "at most 50 lower-case letters, digits and inner hyphens")
]


def _in_the_calendar(text: str) -> str:
    try:
        windows.bounds(text, "", datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise misfit(str(error)) from None
    return text


Window = Annotated[
    str,
    matching(r"^(last [1-9]\d* (hour|day|week|month|year)s?)?$", "such as last 90 days"),
    AfterValidator(_in_the_calendar),
]


class Schedule(Settings):
    """One schedule."""

    name: Name = Field(description="Unique in the file.")
    cron: ServiceCron = Field("", description="Minute hour day month weekday, or six fields with seconds first.")
    interval: DurationOrNone = Field("", description="In place of cron: the time between firings.")
    time_zone: Zone = Field("UTC", description="The zone that cron is read in.")
    pipeline: Text = Field(
        "training", description="A module of pipelines/: training, monitoring, batch_prediction, or one of your own."
    )
    settings: str = Field("", description="Settings of its runs, of that pipeline; empty: those that --settings names.")
    version: Text = Field(
        LATEST,
        description="latest: the version deployed last, which every deployment moves on; or a version's name.",
    )
    window: Window = Field(
        "", description="Data window of a run, worked out when the run begins; empty: the settings'."
    )
    parameters: dict[str, Any] = Field({}, description="Settings beyond those of the file.")
    max_concurrency: Annotated[int, Field(ge=1, le=10), WHOLE] = Field(1, description="Runs at once.")
    catch_up: bool = Field(False, description="Run for every firing that was missed; else for the latest only.")
    enabled: bool = Field(True, description="false keeps the schedule, and keeps it from firing.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what does not go together in a schedule."""
        if bool(self.cron) == bool(self.interval):
            yield "cron", "expected either it or interval"
        if self.interval and self.seconds < 1:
            yield "interval", "expected one second at least"
        if self.catch_up and self.window:
            yield (
                "catch_up",
                "it and window exclude each other: a window is worked out when a run begins, so all that were missed "
                "would read the same one; leave out one of them",
            )

    @property
    def expression(self) -> str:
        """The cron expression with its six fields, seconds first; empty where it has an interval."""
        return cron.six_fields(self.cron) if self.cron else ""

    @property
    def seconds(self) -> int:
        """Seconds between firings; 0 where it has a cron expression."""
        return int(duration(self.interval)) if self.interval else 0

    @property
    def overrides(self) -> dict[str, Any]:
        """Returns what its runs have beyond the settings."""
        # ingest works a relative window out when it runs.
        window = {"window_start": self.window, "window_end": ""} if self.window else {}
        return {**window, **self.parameters}


class Schedules(Settings):
    """The schedules of a project."""

    schedules: Annotated[tuple[Schedule, ...], Field(strict=False)] = Field(description="The schedules.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that two schedules have one name, by which a service knows them."""
        names = [each.name for each in self.schedules]
        if twice := {name for name in names if names.count(name) > 1}:
            yield "schedules", f"two have the name {min(twice)!r}"


def load(workspace: Workspace, project: str) -> list[Schedule]:
    """Reads a project's schedules.yaml; none if there is no such file.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    path = workspace.settings_folder(project).parent / FILE
    return parse(path.read_text(), path) if path.is_file() else []


def parse(text: str, path: Path) -> list[Schedule]:
    """Reads the text of a schedules.yaml.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    return list(yaml_file.described(yaml_file.parse_file(text, path), Schedules, path).schedules)
