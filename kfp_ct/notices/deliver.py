"""Looks for events and sends what is due: a process of its own, which no run waits for.

`python -m kfp_ct.notices.deliver PROJECT --root ROOT --home HOME` is started when a run ends, and by `ct watch` and
`ct up` whenever something is due. It tries for a quarter of an hour; what is left then waits for the next one.
"""

import argparse
import datetime
import subprocess
import sys
import time
from pathlib import Path

from kfp_ct.base import redaction
from kfp_ct.base.errors import CtError
from kfp_ct.notices import channels, events, outbox, settings
from kfp_ct.project import applied
from kfp_ct.project.workspace import Workspace

_MODULE = "kfp_ct.notices.deliver"
_PATIENCE = datetime.timedelta(minutes=15)


def once(workspace: Workspace, project: str, notices: settings.Notices) -> tuple[int, int]:
    """Notes what happened and sends what is due; returns how many were sent, and how many could not be."""
    sent = failed = 0
    box = outbox.Outbox(outbox.file_of(workspace.home, project), _now())
    for event in events.of_runs(workspace, project, box.since):
        box.note(event, notices, _now())
    while delivery := box.take(_now()):
        error = _send(workspace, project, notices, delivery)
        box.settle(delivery, error, _now())
        sent, failed = sent + (not error), failed + bool(error)
    return sent, failed


def begin(workspace: Workspace, project: str) -> None:
    """Starts a process that delivers, if the project has notices; returns at once."""
    if not applied.file(workspace, project, settings.FILE).is_file():
        return
    log = workspace.home / "notices" / f"{project}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", _MODULE, project, "--root", str(workspace.root), "--home", str(workspace.home)]
    with log.open("a") as file:
        subprocess.Popen(
            command, cwd=workspace.root, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def begin_if_due(workspace: Workspace, project: str) -> None:
    """Starts that process if a notice waits whose time has come."""
    file = outbox.file_of(workspace.home, project)
    if file.is_file():
        due = outbox.Outbox(file, _now()).next_due()
        if due and due <= _now():
            begin(workspace, project)


def _send(workspace: Workspace, project: str, notices: settings.Notices, delivery: outbox.Delivery) -> str:
    channel = notices.channels.get(delivery.channel)
    if channel is None:
        return f"there is no channel {delivery.channel!r} any more"
    try:
        channels.send(channel, delivery.event, delivery.id, workspace.home / "notices" / f"{project}.jsonl")
    except channels.SendError as error:
        return str(error)
    return ""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def main() -> int:
    """Delivers until nothing waits that is due soon."""
    redaction.guard_streams()
    parser = argparse.ArgumentParser()
    parser.add_argument("project")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    workspace = Workspace(given.root, given.home)
    end = _now() + _PATIENCE
    while True:
        try:
            notices = settings.load(workspace, given.project)
            if notices is None:
                return 0
            once(workspace, given.project, notices)
        except CtError as error:
            print(f"{_now().isoformat()} {error}", flush=True)
            return error.exit_code
        due = outbox.Outbox(outbox.file_of(workspace.home, given.project), _now()).next_due()
        if due is None or due > end:
            return 0
        time.sleep(max((due - _now()).total_seconds(), 0.1))


if __name__ == "__main__":
    sys.exit(main())
