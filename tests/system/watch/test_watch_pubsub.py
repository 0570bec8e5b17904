"""Messages of the real client and Google's emulator, and objects of a real Cloud Storage server, start runs."""

import datetime
import json
import os
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from google.cloud import pubsub_v1
from rich.console import Console

import cloud_storage
import pubsub_emulator
import service_watches
from ct_command import command_line, ct
from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.watch import history, inbox, observations, observe, service_history, service_inbox, service_watch, watch
from kfp_ct.watch.explanation import explain
from kfp_ct.watch.pubsub import Subscription
from killed import exit_code, in_child, kill_me_at
from watched_projects import ALL_KINDS, notification, watched

emulated = pytest.mark.skipif(pubsub_emulator.program() is None, reason="gcloud has no Pub/Sub emulator here")
QUIET = Console(quiet=True)


def now():
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def emulator():
    with pubsub_emulator.running() as address:
        yield address


class Topic:
    """A topic with one subscription."""

    def __init__(self):
        name = f"t{uuid.uuid4().hex[:8]}"
        self.publisher = pubsub_v1.PublisherClient()
        self.subscriber = pubsub_v1.SubscriberClient()
        self.topic = self.publisher.topic_path(pubsub_emulator.PROJECT, name)
        self.subscription = self.subscriber.subscription_path(pubsub_emulator.PROJECT, name)
        self.publisher.create_topic(name=self.topic)
        self.subscriber.create_subscription(
            request={"name": self.subscription, "topic": self.topic, "ack_deadline_seconds": 10}
        )

    def publish(self, data, attributes=None):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.publisher.publish(self.topic, body, **(attributes or {})).result(60)

    def left(self):
        request = {"subscription": self.subscription, "max_messages": 10, "return_immediately": True}
        return self.subscriber.pull(request=request, timeout=30).received_messages

    def close(self):
        self.publisher.stop()
        self.publisher.transport.close()
        self.subscriber.close()


@pytest.fixture
def topic(emulator):
    made = Topic()
    yield made
    made.close()


@pytest.fixture
def runs(monkeypatch):
    """The causes of runs that were begun, of which none is carried out."""
    recorded = []

    class Done:
        state, id = "SUCCEEDED", "run-1"

    def execute(workspace, request, console):
        recorded.append((request.cause, request.decision["messages"]))
        return Done

    monkeypatch.setattr(watch.runner, "execute", execute)
    return recorded


def turn(project, topic, seconds=3.0):
    subscription = Subscription(topic.subscription, seconds)
    try:
        return subscription.turn(project, QUIET)
    finally:
        subscription.close()


@emulated
@pytest.mark.filterwarnings("ignore:The return_immediately")
def test_three_files_written_together_are_one_run_and_their_messages_are_gone(topic, runs, tmp_path):
    project = watched(tmp_path)
    numbers = [topic.publish(*notification(f"{i}.csv")) for i in range(3)]

    assert turn(project, topic).fire

    ((cause, text),) = runs
    assert cause == "data: 3 new files, rows not counted"
    assert set(text) == {f"Pub/Sub pubsub/{number}" for number in numbers}
    assert not topic.left()
    assert not turn(project, topic, 0.5).fire
    said = explain(project.workspace, "run-1").text()
    assert "data: 3 new files" in said
    assert f"from the message Pub/Sub pubsub/{numbers[0]}" in said


@emulated
def test_wishes_and_jobs_of_cloud_scheduler_come_as_messages(topic, runs, tmp_path):
    project = watched(tmp_path)
    topic.publish({"cause": "June is back", "by": "ada"})
    topic.publish({"job": "nightly"})

    assert turn(project, topic).triggers == ("ask", "nightly")
    assert runs[0][0].startswith("ask: ada asked for a run: June is back; nightly: the job nightly fired at ")


@emulated
@pytest.mark.filterwarnings("ignore:The return_immediately")
def test_what_is_held_is_acknowledged_and_begun_later(topic, runs, tmp_path):
    project = watched(tmp_path, triggers=[{"name": "data", "kind": "new_data", "min_files": 2}])
    topic.publish(*notification("1.csv"))
    decision = turn(project, topic)
    assert decision.holds == ("data: 1 new file, rows not counted; waiting for 2 files",)
    assert not topic.left(), "its message and the decision are on the disk"

    topic.publish(*notification("2.csv"))

    assert turn(project, topic).fire
    assert len(runs) == 1


@emulated
@pytest.mark.filterwarnings("ignore:The return_immediately")
def test_a_message_that_says_nothing_does_not_come_again_and_again(topic, runs, tmp_path):
    project = watched(tmp_path)
    topic.publish(b"\xff not JSON")

    assert "the message holds nothing that starts a run" in turn(project, topic).holds[0]
    assert not topic.left()
    assert runs == []


@emulated
def test_a_message_is_not_acknowledged_before_the_decision_is_kept(topic, runs, tmp_path, monkeypatch):
    project = watched(tmp_path)
    number = topic.publish({"cause": "x"})
    real = inbox.answer
    monkeypatch.setattr(inbox, "answer", lambda *_: (_ for _ in ()).throw(CtError("the disk is full")))
    with pytest.raises(CtError, match="the disk is full"):
        turn(project, topic)
    monkeypatch.setattr(inbox, "answer", real)

    again = turn(project, topic, 30.0)  # when the acknowledgement's deadline has passed

    kept = inbox.read(inbox.path_of(project.workspace.home, "flights"))
    assert kept[f"pubsub/{number}"].answer is not None
    assert len(history.read(project.history)) == 1
    assert not again.fire, "the firing was noted before, by a process that goes on"


@emulated
def test_the_command_takes_messages_and_says_what_became_of_them(topic, tmp_path):
    project = watched(tmp_path, triggers=[{"name": "data", "kind": "new_data"}])
    number = topic.publish({"cause": "nobody may ask"})
    done = subprocess.run(
        command_line("watch", "flights", "--once", "--pubsub", topic.subscription, "--interval", "5"),
        cwd=project.workspace.root, env={**os.environ, "CT_HOME": str(project.workspace.home)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    problem = "flights has no trigger of the kind on_demand"
    assert done.stdout == f"refused: pubsub/{number}: {problem}\nhold\nhold: {problem}\n"


@emulated
def test_a_subscription_that_is_not_there_is_named(emulator, tmp_path):
    with pytest.raises(
        UsageError, match="the subscription projects/test/subscriptions/none does not exist\nfix: gcloud pubsub"
    ):
        Subscription("projects/test/subscriptions/none", 3).turn(watched(tmp_path), QUIET)


def test_a_name_that_is_no_subscription_is_refused(tmp_path):
    for name in ("s", "projects/p/topics/t"):
        refused = ct(tmp_path, "watch", "flights", "--once", "--pubsub", name)
        assert (refused.code, "expected: projects/PROJECT/subscriptions/SUBSCRIPTION" in refused.err) == (2, True)
    taken = ct(tmp_path, "watch", "flights", "--dry-run", "--pubsub", "projects/p/subscriptions/s")
    assert (taken.code, "takes no messages" in taken.err) == (2, True)


def test_objects_are_watched_as_files_are_and_a_notification_of_one_tells_nothing_new(tmp_path):
    project = watched(tmp_path, "gs://data/in/*.csv", ALL_KINDS)
    with cloud_storage.running() as bucket:
        bucket.blob("in/1.csv").upload_from_string("x\n1\n")
        bucket.blob("other/2.csv").upload_from_string("x\n1\n")
        decision = watch.look(project, now())
        assert decision.reasons == ("1 new file, rows not counted",)
        history.mark_ended(
            project.history, history.record_firing(project.history, decision, now()), "r", observations.SUCCEEDED
        )
        assert not watch.look(project, now()).fire

        bucket.blob("in/1.csv").upload_from_string("x\n1\n2\n")

        again = watch.look(project, now())
        assert again.reasons == ("1 new file, rows not counted",)
        assert again.keys != decision.keys
        blob = bucket.get_blob("in/1.csv")
        text = observe.object_span("gs://data/in/1.csv", blob.md5_hash, blob.generation, frozenset())
        assert again.keys == (f"span:{text.id}",)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with service_watches.endpoint(tmp_path_factory.mktemp("endpoint")) as url:
        yield url


@pytest.fixture
def service(endpoint, tmp_path):
    """A watch whose runs are a service's."""
    triggers = [service_watches.ON_DEMAND, {"name": "data", "kind": "new_data", "min_files": 2}]
    return service_watches.deployed(service_watches.make(tmp_path, *triggers), endpoint, tmp_path)


def service_turn(watched, subscription, seconds=2.0):
    opened = Subscription(subscription, seconds)
    try:
        return opened.service_turn(watched, QUIET)
    finally:
        opened.close()


@emulated
@pytest.mark.filterwarnings("ignore:The return_immediately")
def test_messages_start_one_run_of_the_service_and_are_gone(topic, service, capsys):
    topic.publish({"cause": "June is back", "by": "ada"})
    topic.publish(b"\xff not JSON")
    topic.publish(*notification("1.csv"))
    decision = service_turn(service, topic.subscription)
    assert decision.reasons == ("ada asked for a run: June is back",)
    (run,) = service_watches.runs_of(service)
    (claim,) = service_history.read(service.state).claims
    assert (claim.run, claim.cause) == (run.id, "ask: ada asked for a run: June is back")
    assert not topic.left()
    (file,) = service_inbox.read(service.messages).values()
    assert file.id.startswith("gs://data/1.csv"), "what no run has answered waits"

    topic.publish(*notification("2.csv"))
    assert service_turn(service, topic.subscription).holds == (f"the run {run.id} is in progress",)
    assert not topic.left(), "a message that is held back is in the store"
    service.runs.cancel(run.id)
    assert service_watch.step(service, QUIET).reasons == ("2 new files, rows not counted",)
    assert len(service_watches.runs_of(service)) == 1
    assert service_inbox.read(service.messages) == {}


@emulated
@pytest.mark.parametrize(
    "at",
    [("take", "return"), ("_acknowledge", "return"), ("add", "return"), ("run_pipeline", "return")],
    ids="-".join,
)  # fmt: skip
def test_killed_between_any_two_steps_a_message_starts_one_run_of_the_service(at, topic, service, endpoint, emulator):
    number = topic.publish({"cause": "x"})
    workspace, subscription = service.watch.workspace, topic.subscription

    def taking():
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator
        there = service_watches.opened(workspace, endpoint)
        kill_me_at(*at)
        Subscription(subscription, 5.0).service_turn(there, Console(quiet=True))

    assert exit_code(in_child(taking)) == -signal.SIGKILL
    service_watch.step(service, QUIET)
    service_watch.step(service, QUIET, service_watches.later(5))
    (run,) = service_watches.runs_of(service)
    if at == ("take", "return"):  # never acknowledged: it comes again, when its run has begun
        service_turn(service, topic.subscription, 15.0)
        assert [each.id for each in service_watches.runs_of(service)] == [run.id]
        service.runs.cancel(run.id)
        assert not service_watch.step(service, QUIET).fire, "a message starts no second run"
    (claim,) = service_history.read(service.state).claims
    assert claim.keys == (f"manual:pubsub/{number}",)


@emulated
def test_triggers_are_looked_at_where_pubsub_does_not_answer(emulator, service):
    service_watch.request_run(service)
    with pytest.raises(UsageError, match="does not exist"):
        service_turn(service, "projects/test/subscriptions/none")
    assert len(service_watches.runs_of(service)) == 1


def test_what_is_no_message_is_named(service):
    folder = Path(service.messages)
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("[1]")
    with pytest.raises(UsageError, match=r"x\.json is no message of `ct watch`"):
        service_watch.look(service, now())
