"""Messages become what triggers see; each is answered once, in whichever envelope it comes, and nothing is lost."""

import base64
import contextlib
import datetime
import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kfp_ct.base.errors import UsageError
from kfp_ct.watch import history, inbox, journal, messages, observations, policy, receive, watch
from kfp_ct.watch.messages import MessageError
from kfp_ct.watch.observations import JobFiring, ManualRequest, Period, Span
from watched_projects import ALL_KINDS, make, notification, watched

PERIOD = {"model": "flights", "version": "3", "start": "2013-06-01T00:00:00Z", "end": "2013-07-01T00:00:00Z",
          "metric": "auc", "value": 0.6, "low": 0.59, "high": 0.61, "baseline": 0.7, "drifted": ["temp"]}  # fmt: skip


def pushed(data, attributes=None, number="7"):
    """As Pub/Sub pushes a message."""
    message = {"messageId": number, "attributes": attributes or {}, "publishTime": "2026-11-25T10:00:00Z"}
    encoded = {"data": base64.b64encode(json.dumps(data).encode()).decode()} if data is not None else {}
    return json.dumps({"message": {**message, **encoded}, "subscription": "projects/p/subscriptions/s"}).encode()


def storage_event(name="f.csv"):
    """As Eventarc sends a written object: attributes in headers, the object in the body."""
    headers = {"ce-id": "1", "ce-source": "//storage.googleapis.com/projects/_/buckets/data", "ce-specversion": "1.0",
               "ce-type": "google.cloud.storage.object.v1.finalized", "ce-time": "2026-11-25T10:00:00Z",
               "Content-Type": "application/json"}  # fmt: skip
    return json.dumps(notification(name)[0]).encode(), headers


def structured(body, headers):
    """The same event with everything in the body."""
    event = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    return json.dumps({**event, "data": json.loads(body)}).encode(), {"Content-Type": "application/cloudevents+json"}


DATA = {"name": "data", "kind": "new_data"}
SCHEDULER = {"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "nightly",
             "X-CloudScheduler-ScheduleTime": "2026-11-25T03:00:00-05:00"}  # fmt: skip
WRITTEN = datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC)
OBJECT = Span("gs://data/f.csv:m", WRITTEN)


@pytest.mark.parametrize(
    ("body", "headers", "number", "seen"),
    [
        (b'{"cause": "June is back", "by": "ada"}', {"Idempotency-Key": "k"}, "http/k",
         ManualRequest("http/k", "ada", "June is back")),
        (pushed({"cause": "look"}), {}, "pubsub/7", ManualRequest("pubsub/7", "Pub/Sub", "look")),
        (pushed({"job": "nightly"}), {}, "pubsub/7",
         JobFiring("pubsub/7", "nightly", datetime.datetime(2026, 11, 25, 10, tzinfo=datetime.UTC))),
        (pushed(*notification("f.csv")), {}, "pubsub/7", OBJECT),
        (pushed(None, notification("f.csv")[1]), {}, "pubsub/7", Span("gs://data/f.csv:1700000000000000", WRITTEN)),
        (*storage_event(), "event///storage.googleapis.com/projects/_/buckets/data/1", OBJECT),
        (*structured(*storage_event()), "event///storage.googleapis.com/projects/_/buckets/data/1", OBJECT),
        (pushed({"cause": "x"}), {"ce-id": "7", "ce-type": "google.cloud.pubsub.topic.v1.messagePublished"},
         "pubsub/7", ManualRequest("pubsub/7", "Pub/Sub", "x")),
        (b"", SCHEDULER, "scheduler/nightly@2026-11-25T03:00:00-05:00",
         JobFiring("scheduler/nightly@2026-11-25T03:00:00-05:00", "nightly",
              datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC))),
        (json.dumps({"period": PERIOD}).encode(), {"Idempotency-Key": "k"}, "http/k", None),
    ],
    ids=["plain", "push cause", "push job", "push object", "push object without payload", "eventarc", "structured",
         "eventarc pubsub", "scheduler", "period"],
)  # fmt: skip
def test_every_envelope_says_the_same(body, headers, number, seen):
    message = messages.from_http(body, headers)
    assert message.id == number
    found = messages.to_observation(message)
    assert found == seen if seen else isinstance(found, Period)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"not JSON", {}),
        (b"", {}),
        (b"[1]", {}),
        (b'{"cause": ""}', {}),
        (b'{"period": {"model": "flights"}}', {}),
        (pushed({"nothing": 1}), {}),
        (pushed(None, {**notification("f.csv")[1], "eventType": "OBJECT_DELETE"}), {}),
        (pushed(None, {"objectId": "f.csv", "bucketId": "data"}), {}),
        (b'{"message": {"messageId": "1", "data": "%%%"}}', {}),
        (b"{}", {"ce-id": "1", "ce-type": "google.cloud.storage.object.v1.deleted"}),
        (b"", {**SCHEDULER, "X-CloudScheduler-ScheduleTime": "noon"}),
    ],
)
def test_what_says_nothing_is_refused(body, headers):
    with pytest.raises(MessageError):
        messages.to_observation(messages.from_http(body, headers))


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(
        st.sampled_from(["message", "messageId", "data", "attributes", "cause", "job", "period", "id", "specversion",
                         "bucket", "name", "generation", "type", "end", "model", "version"]), inner, max_size=5)
    | st.lists(inner, max_size=2), max_leaves=8).map(lambda tree: json.dumps(tree).encode())))  # fmt: skip
def test_whatever_comes_is_a_message_or_refused(body):
    for headers in ({}, {"ce-id": "1"}, SCHEDULER):
        with contextlib.suppress(MessageError):
            assert messages.to_observation(messages.from_http(body, headers)).keys


class Starter:
    """Begins no runs, but notes which."""

    def __init__(self):
        self.causes = []

    def __call__(self, watched, recorded):
        self.causes.append(recorded.cause)
        return f"run-{len(self.causes)}"


def send(workspace, start, body, headers=None):
    return receive.handle(workspace, "flights", body, headers or {}, start)


def test_all_five_kinds_are_decided_by_message(tmp_path):
    for number, (body, headers, reason) in enumerate([
        (b'{"cause": "June is back", "by": "ada"}', {}, "ask: ada asked for a run: June is back"),
        (b"", SCHEDULER, "nightly: the job nightly fired at 2026-11-25 03:00 UTC-05:00"),
        (*storage_event(), "data: 1 new file, rows not counted"),
        (json.dumps({"period": PERIOD}).encode(), {},
         "worse: auc was 0.6 up to 2013-07-01 00:00, baseline 0.7, allowed to lose 0.03; "
         "other: 1 features drifted up to 2013-07-01 00:00: temp"),
    ]):  # fmt: skip
        start = Starter()
        status, said = send(make(tmp_path / str(number), "in/*.csv", ALL_KINDS), start, body, headers)
        assert (status, said["decision"], said["run"]) == (202, "fire", "run-1")
        assert start.causes == [reason]


def test_a_message_that_comes_again_is_answered_as_before(tmp_path):
    workspace, start = make(tmp_path, "in/*.csv", ALL_KINDS), Starter()
    first = send(workspace, start, pushed({"cause": "x"}))

    assert send(workspace, start, pushed({"cause": "x"})) == first
    assert send(workspace, start, b'{"message": "x"}')[0] == 400
    assert len(start.causes) == 1
    assert first[1] == {
        "message": "pubsub/7",
        "decision": "fire",
        "reasons": ["Pub/Sub asked for a run: x"],
        "run": "run-1",
    }


def test_three_files_of_a_batch_are_one_run(tmp_path):
    project = watched(tmp_path)
    notifications = [notification(f"{i}.csv") for i in range(3)]
    received = [messages.from_pubsub(str(i), json.dumps(data).encode(), attributes)
                for i, (data, attributes) in enumerate(notifications)]  # fmt: skip

    answers, recorded = receive.receive(project, [*received, received[0]])

    assert recorded.cause == "data: 3 new files, rows not counted"
    assert {each.decision for each in answers.values()} == {inbox.FIRE}
    assert receive.receive(project, received) == (answers, None)
    (entry,) = history.read(project.history)
    assert entry.messages == ("Pub/Sub pubsub/0", "Pub/Sub pubsub/1", "Pub/Sub pubsub/2")


def test_what_is_held_is_kept_and_starts_a_run_when_its_time_has_come(tmp_path):
    triggers = [{"name": "data", "kind": "new_data", "settle": "1h"}]
    body, headers = storage_event()
    workspace, start = make(tmp_path, "in/*.csv", triggers, cooldown="1h"), Starter()
    fresh = {**json.loads(body), "generation": str(int(datetime.datetime.now().timestamp() * 1e6))}

    status, said = send(workspace, start, json.dumps(fresh).encode(), headers)

    assert (status, said["decision"], said["reasons"]) == (200, "hold", ["data: 1 new files are still arriving"])
    project = watch.open_watch(workspace, "flights")
    assert watch.look(project, datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)).fire
    assert receive.start_held_run(project, start) is None
    (workspace.root / "pipelines/flights/triggers.yaml").write_text(json.dumps({"triggers": [DATA]}))
    assert receive.start_held_run(watch.open_watch(workspace, "flights"), start).run == "run-1"
    assert receive.start_held_run(watch.open_watch(workspace, "flights"), start) is None


def test_what_no_message_asked_for_is_left_to_the_watch(tmp_path):
    project = watched(tmp_path, triggers=[DATA, {"name": "ask", "kind": "on_demand"}])
    (project.workspace.root / "in").mkdir()
    (project.workspace.root / "in" / "f.csv").write_text("x\n1\n")
    assert receive.start_held_run(project, Starter()) is None
    assert watch.look(project, datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)).fire


def test_a_job_keeps_cooldown_and_budget_and_a_wish_does_not(tmp_path):
    workspace, start = make(tmp_path, "in/*.csv", ALL_KINDS, cooldown="1h"), Starter()
    project = watch.open_watch(workspace, "flights")
    assert send(workspace, start, b"", SCHEDULER)[0] == 202
    history.mark_ended(project.history, journal.read(project.history)[0]["firing"], "run-1", observations.SUCCEEDED)

    status, said = send(workspace, start, b"", {**SCHEDULER, "X-CloudScheduler-ScheduleTime": "2026-11-26T03:00:00Z"})

    assert (status, said["decision"]) == (200, "hold")
    assert said["reasons"][0].startswith("cooling down until")
    assert send(workspace, start, b'{"cause": "now"}')[0] == 202


@pytest.mark.parametrize(
    ("body", "headers", "problem"),
    [
        (b'{"cause": "x"}', {}, "flights has no trigger of the kind on_demand"),
        (b"", SCHEDULER, "no trigger of the kind schedule with job: nightly"),
        (json.dumps({"period": PERIOD}).encode(), {}, "no trigger of the kind performance or distribution"),
        (
            *storage_event("other/f.csv"),
            "gs://data/other/f.csv does not belong to any of the sources gs://data/in/*.csv",
        ),
        (b"{}", {}, "the message holds nothing that starts a run"),
    ],
)
def test_what_no_trigger_takes_is_refused_and_a_sender_that_insists_is_thanked(tmp_path, body, headers, problem):
    workspace = make(tmp_path, "gs://data/in/*.csv", [{"name": "data", "kind": "new_data"}])
    status, said = send(workspace, Starter(), body, headers)
    assert problem in said["reasons"][0]
    assert status == (200 if "ce-id" in headers else 400)
    assert history.read(history.path_of(workspace.home, "flights")) == []


def test_requests_that_cannot_be_answered_say_why(tmp_path):
    workspace = make(tmp_path, "in/*.csv", ALL_KINDS)
    assert receive.handle(workspace, "trains", b"", {}, Starter())[0] == 404
    assert receive.handle(workspace, "../flights", b"", {}, Starter())[0] == 404
    (workspace.root / "pipelines/flights/triggers.yaml").write_text("triggers: 1")
    assert send(workspace, Starter(), b"{}")[0] == 409


def test_a_run_that_cannot_begin_is_noted_and_asked_for_again(tmp_path):
    workspace = make(tmp_path, "in/*.csv", ALL_KINDS)

    def fail(*_):
        raise UsageError("the settings do not fit")

    assert send(workspace, fail, pushed({"cause": "x"})) == (503, {"error": "the settings do not fit"})
    assert history.read(history.path_of(workspace.home, "flights")) == []

    status, said = send(workspace, Starter(), pushed({"cause": "x"}))

    assert (status, said["run"]) == (202, "run-1")


def test_a_line_that_was_cut_off_by_a_crash_spoils_no_other(tmp_path):
    path = tmp_path / "events.jsonl"
    journal.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"b": ')
    journal.append(path, {"c": 3})
    assert journal.read(path) == [{"a": 1}, {"c": 3}]


def test_a_message_that_was_kept_but_not_answered_is_decided_when_it_comes_again(tmp_path):
    project = watched(tmp_path)
    message = messages.from_pubsub("7", b'{"cause": "x"}', {})
    inbox.store(inbox.path_of(project.workspace.home, "flights"), message)

    answers, recorded = receive.receive(project, [message])

    assert recorded is not None
    assert answers["pubsub/7"].decision == inbox.FIRE


def test_files_count_once_their_marker_is_there(tmp_path):
    project = watched(tmp_path, "in", [{"name": "data", "kind": "new_data", "marker": "_SUCCESS"}])
    for day in ("1", "2"):
        (project.workspace.root / "in" / day).mkdir(parents=True)
        (project.workspace.root / "in" / day / "f.csv").write_text("x\n1\n")
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    assert watch.look(project, now).holds == ("data: 2 new files have no _SUCCESS beside them",)

    (project.workspace.root / "in" / "1" / "_SUCCESS").touch()

    assert watch.look(project, now).reasons == ("1 new file, 1 rows",)


@pytest.mark.parametrize("fields", [{}, {"cron": "0 7 * * 1", "job": "nightly"}])
def test_a_schedule_goes_by_one_clock(tmp_path, fields):
    with pytest.raises(UsageError, match=r"triggers\[0\]\.cron: expected either it or job"):
        watched(tmp_path, triggers=[{"name": "nightly", "kind": policy.SCHEDULE, **fields}])
