"""`ct notices`: lists, sends, tries a channel."""

import json

import pytest
import yaml

from cli_runner import ct
from kfp_ct.notices import settings
from notice_receivers import listener


@pytest.fixture
def hook():
    """An HTTP listener."""
    with listener() as running:
        yield running


@pytest.fixture
def root(tmp_path, hook):
    """A repository with one project and its notices."""
    folder = tmp_path / "pipelines/flights"
    (folder / "settings").mkdir(parents=True)
    document = {
        "channels": {"hook": {"kind": "webhook", "url": hook.url}},
        "rules": [{"on": ["run_failed"], "to": ["hook"]}],
    }
    (folder / settings.FILE).write_text(yaml.safe_dump(document))
    return tmp_path


def notices(root, *arguments):
    return ct(root / ".ct", "notices", *arguments, cwd=root)


def test_a_channel_is_tried(root, hook):
    done = notices(root, "test", "flights", "hook")

    assert (done.code, done.out) == (0, "hook took it\n")
    assert hook.came[0][2]["headline"] == "This is a test of notices: nothing has happened"


def test_one_that_does_not_take_it_is_code_7(root, hook):
    hook.answers = [403]

    done = notices(root, "test", "flights", "hook")

    assert (done.code, done.err) == (7, "error: 403 Forbidden\n")


def test_an_unknown_channel_is_named_with_those_there_are(root):
    done = notices(root, "test", "flights", "pager")

    assert done.code == 2
    assert "expected: one of hook" in done.err


def test_nothing_was_told_yet(root):
    assert "nothing was told of flights yet" in notices(root, "list", "flights").out
    assert json.loads(notices(root, "list", "flights", "--json").out) == []
    assert notices(root, "send", "flights").out == "sent 0, failed 0\n"


def test_a_project_without_notices_is_told_how(root):
    (root / "pipelines/flights" / settings.FILE).unlink()

    done = notices(root, "list", "flights")

    assert done.code == 2
    assert "rules: [{on: [run_failed], to: [team]}]" in done.err
