"""The process that delivers: nobody waits for it, and killed at any time nothing is lost or told under two ids."""

import json
import subprocess
import sys
import time

import pytest
import yaml

from kfp_ct.notices import deliver, outbox, settings
from kfp_ct.project.workspace import Workspace
from notice_receivers import listener
from repository import ROOT

# Dies before one of the calls that change something: noting, taking, sending, settling.
DYING = """
import datetime, os, pathlib, sys
from kfp_ct.notices import channels, deliver, outbox, settings
from kfp_ct.project.workspace import Workspace

left = int(sys.argv[2])

def dying(function):
    def call(*args, **kwargs):
        global left
        if left == 0:
            os._exit(137)
        left -= 1
        return function(*args, **kwargs)
    return call

for owner, name in [(outbox.Outbox, "note"), (outbox.Outbox, "take"), (channels, "send"), (outbox.Outbox, "settle")]:
    setattr(owner, name, dying(getattr(owner, name)))
outbox._LEASE = datetime.timedelta(0)
root = pathlib.Path(sys.argv[1])
place = Workspace(root, root / ".ct")
deliver.once(place, "flights", settings.load(place, "flights"))
"""


@pytest.fixture
def hook():
    """An HTTP listener."""
    with listener() as running:
        yield running


@pytest.fixture
def place(tmp_path, hook):
    """A workspace whose project has a run that failed and a rule for it."""
    folder = tmp_path / "pipelines/flights"
    (folder / "settings").mkdir(parents=True)
    document = {
        "channels": {"hook": {"kind": "webhook", "url": hook.url}},
        "rules": [{"on": ["run_failed"], "to": ["hook"]}],
    }
    (folder / settings.FILE).write_text(yaml.safe_dump(document))
    run = tmp_path / ".ct/runs/20261128-120000-0a1b2c3d"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(_record(run.name)))
    decision = {"outcome": "failed", "headline": "Failed in train: boom", "consequence": "", "step": "train"}
    (run / "report.json").write_text(json.dumps({"decision": {**decision, "details": [], "checks": []}}))
    return Workspace(tmp_path, tmp_path / ".ct")


def _record(id_):
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    texts = {"environment": "local", "pipeline": "pipelines.training", "cause": "", "commit": "", "user": "ada"}
    return {**texts, "id": id_, "project": "flights", "parameters": {}, "versions": {}, "process": 1, "tasks": [],
            "started": now, "ended": now, "state": "FAILED"}  # fmt: skip


def test_the_end_of_a_run_starts_a_sender_that_nobody_waits_for(place, hook):
    hook.answers = [500]

    deliver.begin(place, "flights")

    until = time.monotonic() + 180
    while len(hook.came) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert [(status, body["headline"]) for status, _, body in hook.came] == [
        (500, "Failed in train: boom"), (200, "Failed in train: boom"),
    ]  # fmt: skip
    assert len({body["id"] for *_, body in hook.came}) == 1


def test_killed_before_any_step_the_next_one_tells_it(place, hook):
    codes, told = [], []
    for calls in range(6):
        command = [sys.executable, "-c", DYING, str(place.root), str(calls)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        codes.append(done.returncode)
        deliver.once(place, "flights", settings.load(place, "flights"))
        file = outbox.file_of(place.home, "flights")
        states = [each.state for each in outbox.Outbox(file, deliver._now()).deliveries()]
        told.append((len(hook.came), len({body["id"] for *_, body in hook.came}), states))
        hook.came.clear()
        for each in file.parent.glob("flights.db*"):
            each.unlink()

    # note, take, send, settle, and a take that finds nothing more.
    assert codes == [137, 137, 137, 137, 137, 0]
    # Killed between sending and settling it is sent twice, under one id.
    assert told == [
        (1, 1, ["sent"]),
        (1, 1, ["sent"]),
        (1, 1, ["sent"]),
        (2, 1, ["sent"]),
        (1, 1, ["sent"]),
        (1, 1, ["sent"]),
    ]
