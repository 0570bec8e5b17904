"""notices.yaml: what it may say, and that no secret stands in it."""

import datetime

import pytest
import yaml

from kfp_ct.base.errors import UsageError
from kfp_ct.notices import settings
from kfp_ct.project.workspace import Workspace

GOOD = {
    "time_zone": "Europe/Berlin",
    "channels": {
        "team": {"kind": "slack", "url": "${SLACK_WEBHOOK}"},
        "mail": {
            "kind": "mail", "host": "smtp.example.com", "user": "ct", "password": "${SMTP_PASSWORD}",
            "sender": "ct@example.com", "to": ["ml@example.com"],
        },
        "file": {"kind": "log"},
    },
    "rules": [
        {"on": ["run_failed"], "to": ["team", "mail"], "quiet_hours": ["22:00-07:00"]},
        {"on": ["model_promoted"], "to": ["file"]},
    ],
}  # fmt: skip


def load(root, **changes):
    folder = root / "pipelines" / "flights"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / settings.FILE).write_text(yaml.safe_dump({**GOOD, **changes}, sort_keys=False))
    return settings.load(Workspace(root, root / ".ct"), "flights")


def test_a_project_without_the_file_has_no_notices(tmp_path):
    assert settings.load(Workspace(tmp_path, tmp_path / ".ct"), "flights") is None


def test_the_file_of_the_page(tmp_path):
    notices = load(tmp_path)

    assert list(notices.channels) == ["team", "mail", "file"]
    assert notices.channels["mail"].port == 587


@pytest.mark.parametrize(
    ("channel", "found"),
    [
        ({"kind": "slack", "url": "https://hooks.slack.example/services/T0/B0/abc"}, "environment variable"),
        ({**GOOD["channels"]["mail"], "password": "hunter2"}, "password"),
        ({**GOOD["channels"]["mail"], "tls": "none"}, "not encrypted"),
        ({**GOOD["channels"]["mail"], "password": ""}, "together with user"),
        ({**GOOD["channels"]["mail"], "to": []}, "to"),
        ({"kind": "webhook", "url": "file:///etc/passwd"}, "http"),
        ({"kind": "webhook", "url": "https://ct:hunter2secret@example.com/hook"}, "secret"),
        (
            {"kind": "webhook", "url": "https://a", "headers": {"Authorization": "Bearer abcdef0123456789a"}},
            "secret",
        ),
        ({"kind": "pubsub", "topic": "events"}, "projects/PROJECT/topics/NAME"),
        ({"kind": "pager"}, "kind"),
    ],
)
def test_a_channel_that_cannot_work_or_holds_a_secret_is_refused(tmp_path, channel, found):
    with pytest.raises(UsageError, match=found) as caught:
        load(tmp_path, channels={**GOOD["channels"], "team": channel})

    assert "hunter2" not in str(caught.value)


def test_a_rule_names_channels_and_events_that_there_are(tmp_path):
    with pytest.raises(UsageError, match="no channel 'pager'; expected one of team, mail, file"):
        load(tmp_path, rules=[{"on": ["run_failed"], "to": ["pager"]}])
    with pytest.raises(UsageError, match="run_failed"):
        load(tmp_path, rules=[{"on": ["run_fails"], "to": ["team"]}])


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-10T12:00:00+00:00", "2026-01-10T12:00:00+00:00"),
        ("2026-01-10T21:30:00+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-07-10T03:00:00+00:00", "2026-07-10T05:00:00+00:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_of_the_zone(tmp_path, now, due):
    notices = load(tmp_path)

    found = notices.quiet_until(notices.rules[0], datetime.datetime.fromisoformat(now))

    assert found == datetime.datetime.fromisoformat(due)
