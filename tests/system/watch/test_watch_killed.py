"""Killed at any point, a message that is delivered again begins its run, and begins it once."""

import datetime
import signal

import pytest
from rich.console import Console

from kfp_ct.watch import history, inbox, messages, observations, receive, watch
from killed import exit_code, in_child, kill_me_at
from watched_projects import watched

LOST = [("record_firing", "return"), ("answer", "return"), ("mark_started", "call")]
MESSAGE = messages.from_pubsub("7", b'{"cause": "x"}', {})
NOW = datetime.datetime.now(datetime.UTC)
# Where a process is killed that takes a message and queues its run.
KILLS = [("store", "call"), ("store", "return"), ("record_decision", "call"), ("record_firing", "return"),
         ("mark_queued", "call"), ("mark_queued", "return"), ("answer", "return")]  # fmt: skip


def queue(folder):
    """Queues runs as the endpoint does, so far as can be seen here: one file per run, named by the firing."""

    def start(_, recorded):
        (folder / recorded.firing).touch()
        return recorded.firing

    return start


@pytest.mark.parametrize("at", KILLS, ids="-".join)
def test_a_message_that_comes_again_begins_its_run_once(at, tmp_path):
    project, runs = watched(tmp_path), tmp_path / "runs"
    runs.mkdir()

    def taking():
        kill_me_at(*at)
        receive.receive(project, [MESSAGE], queue(runs))

    assert exit_code(in_child(taking)) == -signal.SIGKILL

    answers, _ = receive.receive(project, [MESSAGE], queue(runs))

    entries = history.read(project.history)
    assert len(entries) == 1
    assert answers["pubsub/7"].decision in (inbox.FIRE, inbox.HOLD)
    # The run of a process that was killed after queueing and before noting it is queued again: seldom twice, never not.
    assert len(list(runs.iterdir())) == (2 if at == ("mark_queued", "call") else 1)


@pytest.mark.parametrize(
    "at", [("record_firing", "return"), ("answer", "return"), ("mark_started", "call")], ids="-".join
)
def test_an_acknowledged_message_whose_run_never_began_is_not_lost(at, tmp_path):
    project = watched(tmp_path)

    def pulling():
        kill_me_at(*at)
        _, recorded = receive.receive(project, [MESSAGE])
        watch.run_pipeline(project, recorded, Console(quiet=True))

    assert exit_code(in_child(pulling)) == -signal.SIGKILL

    assert watch.record_decision(project, NOW).decision.reasons == ("Pub/Sub asked for a run: x",)


def test_a_run_that_had_begun_is_not_begun_again(tmp_path):
    project = watched(tmp_path)

    def pulling():
        _, recorded = receive.receive(project, [MESSAGE])
        kill_me_at("mark_started", "return")
        history.mark_started(project.history, recorded.firing)

    assert exit_code(in_child(pulling)) == -signal.SIGKILL

    assert not watch.look(project, NOW).fire
    assert [entry.firing.state for entry in history.read(project.history)] == [observations.FAILED]
