"""Notices arrive by real HTTP and SMTP; none is lost, none is told twice."""

import datetime
import json
import os

import pytest
import yaml

from kfp_ct.notices import channels, deliver, events, outbox, settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from notice_receivers import listener, mailbox

NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
PROJECT = "flights"


@pytest.fixture
def hook():
    """An HTTP listener."""
    with listener() as running:
        yield running


@pytest.fixture
def place(tmp_path):
    """A workspace with one project."""
    (tmp_path / "pipelines" / PROJECT / "settings").mkdir(parents=True)
    return Workspace(tmp_path, tmp_path / ".ct")


def notices_of(place, hook, **rule):
    document = {
        "channels": {
            "hook": {"kind": "webhook", "url": hook.url, "headers": {"X-Team": "ml"}},
            "file": {"kind": "log"},
        },
        "rules": [{"on": list(settings.KINDS), "to": ["hook"], **rule}],
    }
    folder = place.root / "pipelines" / PROJECT
    (folder / settings.FILE).write_text(yaml.safe_dump(document))
    return settings.load(place, PROJECT)


def finished(place, outcome, headline="", state="FAILED", pipeline="pipelines.training", **said):
    """A run that left its record and its report."""
    run = record.Run(
        id=record.new_id(), project=PROJECT, environment="local", pipeline=pipeline, parameters={}, cause="test",
        commit="", versions={}, user="ada", process=os.getpid(), started=record.now(), state=state, ended=record.now(),
    )  # fmt: skip
    folder = place.runs / run.id
    folder.mkdir(parents=True)
    record.Recorder(run, folder)
    decision = {"outcome": outcome, "headline": headline, "consequence": "", "step": "", "details": [], "checks": []}
    (folder / "report.json").write_text(json.dumps({"decision": {**decision, **said}}))
    return run


def event(key="run/1/1/run_failed", subject="train", **fields):
    return events.Event(key, "run_failed", PROJECT, NOW.isoformat(), "Failed in train: boom", subject=subject, **fields)


@pytest.mark.parametrize(
    ("outcome", "state", "pipeline", "kind"),
    [
        ("failed", "FAILED", "pipelines.training", "run_failed"),
        ("interrupted", "INTERRUPTED", "pipelines.training", "run_failed"),
        ("refused", "SUCCEEDED", "pipelines.training", "model_refused"),
        ("blessed", "SUCCEEDED", "pipelines.training", "model_promoted"),
        ("refused", "SUCCEEDED", "pipelines.monitoring", "monitoring_alarm"),
        ("finished", "SUCCEEDED", "pipelines.batch_prediction", None),
    ],
)
def test_what_a_run_came_to_is_told_once(place, hook, outcome, state, pipeline, kind):
    notices = notices_of(place, hook)
    checks = [{"gate": "auc", "passed": False, "reason": "0.61 is below 0.70"}, {"gate": "slices", "passed": True}]
    run = finished(place, outcome, "A headline", state, pipeline, checks=checks if outcome == "refused" else [])

    counts = [deliver.once(place, PROJECT, notices) for _ in range(3)]

    assert counts == [((1 if kind else 0), 0), (0, 0), (0, 0)]
    assert [body["kind"] for _, _, body in hook.came] == ([kind] if kind else [])
    for _, headers, body in hook.came:
        assert (body["headline"], body["run"]) == ("A headline", run.id)
        assert headers["Idempotency-Key"] == body["id"]
        assert headers["X-Team"] == "ml"
        assert ("auc: 0.61 is below 0.70" in body["details"]) == (outcome == "refused")
        assert run.id in body["text"]


def test_a_run_whose_process_was_killed_is_told_without_its_report(place, hook):
    notices = notices_of(place, hook)
    run = finished(place, "running", state="RUNNING")
    run.process = 2**22 + 1  # more than there can be
    run.ended = ""
    record.Recorder(run, place.runs / run.id)

    assert deliver.once(place, PROJECT, notices) == (1, 0)
    assert "ended without a report" in hook.came[0][2]["headline"]


def test_a_run_that_goes_on_or_belongs_to_another_project_is_not_told(place, hook):
    notices = notices_of(place, hook)
    finished(place, "running", state="RUNNING")
    other = finished(place, "failed")
    other.project = "taxi"
    record.Recorder(other, place.runs / other.id)

    assert deliver.once(place, PROJECT, notices) == (0, 0)


def test_runs_from_before_notices_were_asked_for_are_not_told(place, hook):
    old = finished(place, "failed")
    old.ended = "2026-01-01T00:00:00+00:00"
    record.Recorder(old, place.runs / old.id)

    assert deliver.once(place, PROJECT, notices_of(place, hook)) == (0, 0)


def test_a_channel_that_refuses_is_tried_again_later_under_the_same_id(place, hook, tmp_path):
    notices = notices_of(place, hook)
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    box.note(event(), notices, NOW)
    hook.answers = [503, 500]
    pauses, now = [], NOW
    while delivery := box.take(now):
        box.settle(delivery, deliver._send(place, PROJECT, notices, delivery), now)
        due = box.next_due()
        if due is None:
            break
        assert box.take(due - MINUTE / 60) is None
        pauses.append((due - now).total_seconds())
        now = due

    assert pauses == [15, 30]
    assert [status for status, *_ in hook.came] == [503, 500, 200]
    assert len({body["id"] for *_, body in hook.came}) == 1
    assert [each.state for each in box.deliveries()] == ["sent"]


def test_after_a_day_it_is_given_up_and_said_why(place, hook, tmp_path):
    notices = notices_of(place, hook)
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    box.note(event(), notices, NOW)
    late = NOW + datetime.timedelta(hours=25)
    box.settle(box.take(late), "503 Service Unavailable", late)

    assert box.take(late + datetime.timedelta(days=9)) is None
    assert [(each.state, each.error) for each in box.deliveries()] == [("given up", "503 Service Unavailable")]


def test_one_that_was_taken_and_never_settled_is_sent_again_after_a_while(place, hook, tmp_path):
    """A sender that is killed after it took a delivery, before or after it sent."""
    notices = notices_of(place, hook)
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    box.note(event(), notices, NOW)

    first = box.take(NOW)
    assert box.take(NOW + MINUTE) is None
    second = box.take(NOW + 3 * MINUTE)

    assert (first.id, second.attempts) == (second.id, 2)


def test_an_event_is_noted_once_whoever_finds_it(place, hook, tmp_path):
    notices = notices_of(place, hook)
    boxes = [outbox.Outbox(tmp_path / "box.db", NOW) for _ in range(2)]

    assert [box.note(event(), notices, NOW) for box in boxes] == [True, False]
    assert len(boxes[0].deliveries()) == 1


def test_the_same_again_is_not_sent_within_the_time_a_rule_says(place, hook, tmp_path):
    notices = notices_of(place, hook, again_after="6h")
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    hour = datetime.timedelta(hours=1)
    for key, subject, after in [("1", "train", 0), ("2", "train", 1), ("3", "ingest", 2), ("4", "train", 7)]:
        box.note(event(key, subject), notices, NOW + after * hour)

    states = {each.event.key: each.state for each in box.deliveries()}

    assert states == {"1": "waiting", "2": "repeated", "3": "waiting", "4": "waiting"}


def test_quiet_hours_hold_it_until_they_end(place, hook, tmp_path):
    notices = notices_of(place, hook, quiet_hours=["11:00-14:30"])
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    box.note(event(), notices, NOW)

    assert box.take(NOW + 60 * MINUTE) is None
    assert box.take(NOW + 150 * MINUTE) is not None


def test_a_redirect_is_no_success(place, hook):
    notices = notices_of(place, hook)
    hook.answers = [302]

    with pytest.raises(channels.SendError, match="302"):
        channels.send(notices.channels["hook"], event(), "id", place.home)
    assert len(hook.came) == 1


def test_slack_gets_text(place, hook, monkeypatch):
    monkeypatch.setenv("SLACK_WEBHOOK", hook.url)
    slack = settings.Slack(kind="slack", url="${SLACK_WEBHOOK}")

    channels.send(slack, event(details=("line " * 2000,)), "id", place.home)

    ((_, _, body),) = hook.came
    assert set(body) == {"text"}
    assert body["text"].startswith("flights: Failed in train: boom\n")
    assert len(body["text"]) <= 3000


def test_a_mail_arrives_with_one_id_at_each_try(place):
    with mailbox() as (box, port):
        to = ("a@e.com", "b@e.com")
        mail = settings.Mail(kind="mail", host="127.0.0.1", port=port, tls="none", sender="ct@e.com", to=to)
        for _ in range(2):
            channels.send(mail, event(details=("Größe: –",)), "run/1", place.home)
        channels.send(mail, event(), "run/2", place.home)

    senders, receivers, messages = zip(*box.came, strict=True)
    assert set(senders) == {"ct@e.com"}
    assert receivers[0] == ["a@e.com", "b@e.com"]
    assert messages[0]["Subject"] == "[flights] Failed in train: boom"
    assert "Größe: –" in messages[0].get_payload(decode=True).decode()
    assert messages[0]["Message-ID"] == messages[1]["Message-ID"] != messages[2]["Message-ID"]


def test_a_headline_cannot_add_headers_to_a_mail(place):
    with mailbox() as (box, port):
        mail = settings.Mail(kind="mail", host="127.0.0.1", port=port, tls="none", sender="ct@e.com", to=("a@e.com",))
        sly = events.Event("k", "run_failed", PROJECT, NOW.isoformat(), "x\nBcc: victim@example.com")
        channels.send(mail, sly, "id", place.home)

    ((_, receivers, message),) = box.came
    assert receivers == ["a@e.com"]
    assert message["Bcc"] is None


def test_nobody_there_is_a_message_and_not_a_traceback(place):
    mail = settings.Mail(kind="mail", host="127.0.0.1", port=9, tls="none", sender="ct@e.com", to=("a@e.com",))

    with pytest.raises(channels.SendError, match="ConnectionRefusedError"):
        channels.send(mail, event(), "id", place.home)
    with pytest.raises(channels.SendError, match="NO_SUCH_VARIABLE"):
        channels.send(settings.Slack(kind="slack", url="${NO_SUCH_VARIABLE}"), event(), "id", place.home)


def test_a_project_without_notices_starts_nothing(place):
    deliver.begin(place, PROJECT)
    deliver.begin_if_due(place, PROJECT)

    assert not (place.home / "notices").exists()


def test_a_secret_in_a_headline_is_not_kept(place, hook, tmp_path):
    box = outbox.Outbox(tmp_path / "box.db", NOW)
    box.note(event(details=("postgresql://ct:hunter2secret@db/mlflow refused",)), notices_of(place, hook), NOW)

    assert "hunter2secret" not in repr(box.deliveries())
    assert b"hunter2secret" not in (tmp_path / "box.db").read_bytes()
