"""Who is told of what: a project's notices.yaml."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kfp_ct.base import secrets
from kfp_ct.base.errors import UsageError, listed
from kfp_ct.base.settings import Count, Names, Settings, Text, matching
from kfp_ct.clock import cron, quiet
from kfp_ct.clock.duration_settings import Duration
from kfp_ct.clock.time_settings import TimesOfDay, Zone
from kfp_ct.project import applied, yaml_file
from kfp_ct.project.workspace import Workspace

FILE = "notices.yaml"
RUN_FAILED, MODEL_REFUSED, MODEL_PROMOTED, MONITORING_ALARM = KINDS = (
    "run_failed", "model_refused", "model_promoted", "monitoring_alarm",
)  # fmt: skip
Kind = Literal["run_failed", "model_refused", "model_promoted", "monitoring_alarm"]
Reference = Annotated[
    str, matching(r"^\$\{[A-Z_][A-Z0-9_]*\}$", "${NAME}, an environment variable: the value itself is a secret")
]


class Log(Settings):
    """A file of JSON lines on this machine: $CT_HOME/notices/PROJECT.jsonl."""

    kind: Literal["log"]


class Webhook(Settings):
    """A POST of JSON to an address."""

    kind: Literal["webhook"]
    url: Annotated[str, matching("^https?://.", "an address http(s)://…")] = Field(description="Its address.")
    headers: dict[str, Text] = Field({}, description="Further headers, such as Authorization: Bearer ${TOKEN}.")


class Slack(Settings):
    """An incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat."""

    kind: Literal["slack"]
    url: Reference = Field(description="Its address, such as ${SLACK_WEBHOOK}: who has it can post.")


class Mail(Settings):
    """A mail, by SMTP."""

    kind: Literal["mail"]
    host: Text = Field(description="The SMTP server.")
    port: Count = Field(587, description="Its port.")
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is encrypted.")
    user: str = Field("", description="Who signs in; empty: nobody.")
    password: Reference | Literal[""] = Field("", description="With what, such as ${SMTP_PASSWORD}.")
    sender: Text = Field(description="Address that it is from.")
    to: Names = Field(description="Addresses that it goes to.", min_length=1)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that a password would travel in the clear, or that one is missing."""
        if bool(self.user) != bool(self.password):
            yield "password", "expected together with user"
        if self.password and self.tls == "none":
            yield "tls", "a password is not sent over a connection that is not encrypted; expected starttls or tls"


class PubSub(Settings):
    """A message of Google Pub/Sub."""

    kind: Literal["pubsub"]
    topic: Annotated[str, matching("^projects/[^/]+/topics/[^/]+$", "projects/PROJECT/topics/NAME")] = Field(
        description="Its topic."
    )


Channel = Annotated[Log | Webhook | Slack | Mail | PubSub, Field(discriminator="kind")]


class Rule(Settings):
    """Who is told of which events, and when not."""

    on: Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)] = Field(description="What has happened.")
    to: Names = Field(description="Names of channels.", min_length=1)
    again_after: Duration = Field(
        "0s", description="For so long the same is not told again: a failure in the same step, another refusal."
    )
    quiet_hours: Annotated[tuple[TimesOfDay, ...], Field(strict=False)] = Field(
        (), description="Times of day in which nothing is sent; it is sent when they end."
    )


class Notices(Settings):
    """Channels, and what is told by which."""

    time_zone: Zone = Field("UTC", description="Zone of the quiet hours.")
    channels: dict[Text, Channel] = Field(description="Ways to tell somebody, by name.", min_length=1)
    rules: Annotated[tuple[Rule, ...], Field(strict=False, min_length=1)] = Field(description="Who is told of what.")

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says that a rule names a channel that is not there."""
        unknown = {name for rule in self.rules for name in rule.to} - self.channels.keys()
        if unknown:
            yield "rules", f"there is no channel {min(unknown)!r}; expected one of {', '.join(self.channels)}"

    def quiet_until(self, rule: Rule, now: datetime.datetime) -> datetime.datetime:
        """Returns when a rule may send: now, or when its quiet hours end."""
        local = now.astimezone(cron.zone(self.time_zone))
        ends = [end for hours in quiet.parse(rule.quiet_hours) if (end := quiet.until(local, hours))]
        return max(ends, default=now).astimezone(datetime.UTC)


def load(workspace: Workspace, project: str) -> Notices | None:
    """Reads a project's notices.yaml, as it was applied here or else as it stands in pipelines/; None if it has none.

    Raises:
        UsageError: Lists everything that does not fit, secrets in the clear among it.
    """
    path = applied.file(workspace, project, FILE)
    return parse(path.read_text(), path) if path.is_file() else None


def parse(text: str, path: Path | str) -> Notices:
    """Reads the text of a notices.yaml.

    Raises:
        UsageError: Lists everything that does not fit, secrets in the clear among it.
    """
    document = yaml_file.parse_file(text, path)
    if clear := secrets.in_the_clear(document):
        raise UsageError(f"{path} holds secrets\n{listed(map(str, clear))}\nfix: edit {path}")
    notices: Notices = yaml_file.described(document, Notices, path)
    return notices
