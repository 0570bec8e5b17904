"""What may start a run by itself: the project's triggers.yaml."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from kfp_ct.base.errors import UsageError
from kfp_ct.base.settings import Count, CountOrNone, Names, NotNegative, Settings, Text, matching
from kfp_ct.clock import cron, quiet
from kfp_ct.clock.duration_settings import Duration
from kfp_ct.clock.time_settings import Cron, TimesOfDay, Zone
from kfp_ct.project import yaml_file

FILE = "triggers.yaml"
ON_DEMAND, SCHEDULE, NEW_DATA, PERFORMANCE, DISTRIBUTION = KINDS = (
    "on_demand", "schedule", "new_data", "performance", "distribution",
)  # fmt: skip
Periods = Annotated[Count, Field(description="So many of the newest monitored periods must give the reason.")]
Marker = Annotated[str, matching(r"^[^/*?\[]*$", "a file's name, such as _SUCCESS, without a folder or wildcard")]


class _Trigger(Settings):
    name: Text = Field(description="Unique in the file.")


class OnDemand(_Trigger):
    """Fires when a person, or a message, asks for a run."""

    kind: Literal["on_demand"]


class Scheduled(_Trigger):
    """Fires when a time is due, or when a scheduler elsewhere fires a job."""

    kind: Literal["schedule"]
    cron: Cron = Field("", description="Minute hour day month weekday, in the file's time_zone.")
    job: str = Field("", description="In place of cron: the job that a scheduler elsewhere fires.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that it has no clock, or two."""
        if bool(self.cron) == bool(self.job):
            yield "cron", "expected either it or job"


class NewData(_Trigger):
    """Fires when enough files or objects of the sources are new or changed."""

    kind: Literal["new_data"]
    min_files: Count = Field(1, description="So many files must be new.")
    min_rows: CountOrNone = Field(0, description="So many rows must be in them; 0: any number.")
    settle: Duration = Field("0s", description="For so long no file of the sources must have changed.")
    max_wait: Duration = Field("0s", description="After so long any amount of data is enough; 0s: never.")
    marker: Marker = Field("", description="A file counts only with a file of this name beside it; empty: at once.")


class Performance(_Trigger):
    """Fires when the live metric is too low in the newest monitored periods."""

    kind: Literal["performance"]
    min_value: float | None = Field(None, description="The metric's whole interval must be below it; null: any value.")
    max_loss: NotNegative | None = Field(
        None, description="The interval must be below the baseline metric by more than this; null: by any."
    )
    periods: Periods = 1

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that it compares with nothing."""
        if self.min_value is None and self.max_loss is None:
            yield "max_loss", "the trigger compares with nothing; expected max_loss or min_value"


class Distribution(_Trigger):
    """Fires when features drifted in the newest monitored periods."""

    kind: Literal["distribution"]
    features: Names = Field((), description="Features that count; empty: all.")
    min_features: Count = Field(1, description="So many of them must have drifted.")
    periods: Periods = 1


Trigger = OnDemand | Scheduled | NewData | Performance | Distribution


class Policy(Settings):
    """All reasons to run, and what holds them back."""

    settings: Text = Field("local", description="Settings of the runs: local, dev, prod.")
    parameters: dict[str, Any] = Field({}, description="Settings of the runs beyond those of the file.")
    time_zone: Zone = Field("UTC", description="Zone of the schedules, the quiet hours and the day of the budget.")
    cooldown: Duration = Field("0s", description="Time after a run's start in which no other begins by itself.")
    daily_budget: Count = Field(24, description="Runs that may begin by themselves on one day.")
    quiet_hours: Annotated[tuple[TimesOfDay, ...], Field(strict=False)] = Field(
        (), description="Times of day in which no run begins by itself; they may end on the next day."
    )
    history: str = Field(
        "",
        description="File that the monitor component keeps, which performance and distribution are read from; "
        "${CT_HOME} stands for the local state.",
    )
    triggers: Annotated[
        tuple[Annotated[Trigger, Field(discriminator="kind")], ...], Field(strict=False, min_length=1)
    ] = Field(description="The reasons to run.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that two triggers have one name, by which the history knows them."""
        names = [trigger.name for trigger in self.triggers]
        if twice := {name for name in names if names.count(name) > 1}:
            yield "triggers", f"two have the name {min(twice)!r}"

    @property
    def zone(self) -> datetime.tzinfo:
        """The zone of the schedules, the quiet hours and the day."""
        return cron.zone(self.time_zone)

    @property
    def quiet_times(self) -> list[quiet.Hours]:
        """Start and end of the quiet hours."""
        return quiet.parse(self.quiet_hours)

    @property
    def markers(self) -> frozenset[str]:
        """Names of the files that say that data is fit to be used."""
        return frozenset(each.marker for each in self.triggers if isinstance(each, NewData) and each.marker)

    @property
    def jobs(self) -> frozenset[str]:
        """Jobs of schedulers elsewhere."""
        return frozenset(each.job for each in self.triggers if isinstance(each, Scheduled) and each.job)


def load(path: Path) -> Policy:
    """Reads triggers.yaml.

    Raises:
        UsageError: It is not there, or lists everything that does not fit.
    """
    if not path.is_file():
        raise UsageError(f"there is no {path}\nexpected: triggers: [{{name: new data, kind: new_data}}]")
    return _described(yaml_file.read(path), path)


def parse(text: str, path: Path | str) -> Policy:
    """Reads the text of a triggers.yaml.

    Raises:
        UsageError: Lists everything that does not fit.
    """
    return _described(yaml_file.parse_file(text, path), path)


def _described(tree: Any, path: Path | str) -> Policy:
    policy: Policy = yaml_file.described(tree, Policy, path)
    return policy
