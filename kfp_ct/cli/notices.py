"""`ct notices`: who was told of what."""

import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import options, output
from kfp_ct.cli.exit_codes import exit_codes
from kfp_ct.cli.groups import family

if TYPE_CHECKING:
    from kfp_ct.notices.settings import Notices
    from kfp_ct.project.workspace import Workspace

FAILED = {7: "A channel did not take it."}


def show(name: options.Project, home: options.Home = None, as_json: options.Json = False) -> None:
    """List notices, newest first: sent, waiting, repeated (so not sent again), given up."""
    from kfp_ct.notices import outbox

    workspace, _ = _notices(name, home)
    file = outbox.file_of(workspace.home, name)
    found = outbox.Outbox(file, _now()).deliveries() if file.is_file() else []
    if as_json:
        output.print_json(found)
        return
    for each in found:
        after = f" after {each.attempts} tries: {each.error}" if each.error else ""
        print(f"{each.noted[:19]}  {each.state:9} {each.channel:12} {each.event.headline}{after}")
    if not found:
        print(f"nothing was told of {name} yet")


@exit_codes(FAILED)
def send(name: options.Project, home: options.Home = None, as_json: options.Json = False) -> None:
    """Send what is due now."""
    from kfp_ct.notices import deliver

    workspace, notices = _notices(name, home)
    sent, failed = deliver.once(workspace, name, notices)
    if as_json:
        output.print_json({"sent": sent, "failed": failed})
    else:
        print(f"sent {sent}, failed {failed}")
    if failed:
        raise typer.Exit(7)


@exit_codes(FAILED)
def try_channel(
    name: options.Project,
    channel: Annotated[str, typer.Argument(help="Name of a channel in notices.yaml.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Send a notice that says that it is a test."""
    from kfp_ct.notices import channels
    from kfp_ct.notices.events import Event

    workspace, notices = _notices(name, home)
    if channel not in notices.channels:
        raise UsageError(f"there is no channel {channel!r}\nexpected: one of {', '.join(notices.channels)}")
    at = _now().isoformat(timespec="milliseconds")
    event = Event(f"test/{at}", "test", name, at, "This is a test of notices: nothing has happened")
    channels.send(notices.channels[channel], event, event.key, workspace.home / "notices" / f"{name}.jsonl")
    if as_json:
        output.print_json({"channel": channel, "sent": event.key})
    else:
        print(f"{channel} took it")


def _notices(name: str, home: "options.Home") -> "tuple[Workspace, Notices]":
    from kfp_ct.notices import settings
    from kfp_ct.project.workspace import find_workspace

    workspace = find_workspace(home)
    folder = workspace.settings_folder(name).parent
    notices = settings.load(workspace, name)
    if notices is None:
        raise UsageError(
            f"there is no {folder / settings.FILE}\n"
            "expected: channels: {team: {kind: slack, url: '${SLACK_WEBHOOK}'}}, and\n"
            "rules: [{on: [run_failed], to: [team]}]"
        )
    return workspace, notices


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


app = family(
    "Tell people of failed runs, refused models and alarms.", {"list": show, "send": send, "test": try_channel}
)
