"""A version that needs a person's word waits: no command serves it before, and who said what is kept."""

import datetime
import json
import shutil
from pathlib import Path

import pytest

import endpoint_home
from cli_runner import ct
from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError, UsageError
from kfp_ct.champions import approval, listing, promotion
from kfp_ct.champions.promotion import Person
from kfp_ct.components.deploy import work as deploying
from kfp_ct.components.register import work as registering
from kfp_ct.data import layouts
from kfp_ct.endpoint.api.guard import Guard
from kfp_ct.models import approvals, release_state, serving_folder
from registered_models import now, place_in, release
from release_artifacts import make_run

ADA, EVE = Person("ada@x.org", "it answers better"), Person("eve@x.org", "agreed")
ONE, TWO = {"approve": True}, {"approve": True, "approvals": 2, "approval_expires": "2d"}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A registry whose v1 is champion and served; to be copied."""
    home = tmp_path_factory.mktemp("served") / "home"
    assert release(home, "one") == "1"
    return home


@pytest.fixture
def place(served, tmp_path):
    return place_in(Path(shutil.copytree(served, tmp_path / "home")))


def ask(place, serving=ONE, content="two", version="2"):
    """Registers a model and has deploy meet the settings; returns the deployment."""
    folder = place.workspace.home / "made" / content
    run = make_run(folder, content)
    assert registering.register(run.candidate(content), place.registry_uri, "flights", False).version == version
    found = serving_folder.Release(run.model, run.blessing, "flights", version)
    to = deploying.Destination(str(place.serving_root), serving, place.registry_uri)
    return deploying.deploy(found, to, 3, str(folder / "deployment"))


def aged(place, version, kind, days):
    """Makes the words of a kind older than they are."""
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    for word in approvals.words(place.reader.version("flights", version)):
        if word.kind == kind:
            old = approvals.Word(past.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), kind, version, word.by, word.why)
            take_back(place, version, word)
            approvals.say(place.registry_uri, "flights", old)


def take_back(place, version, word):
    import sqlite3

    with sqlite3.connect(place.workspace.home / "registry" / "mlflow.db") as connection:
        connection.execute("DELETE FROM model_version_tags WHERE version = ? AND key = ?", (version, word.tag[0]))


def test_deploy_leaves_a_version_waiting_and_the_champion_answers(place, capsys):
    found = ask(place)

    assert (found["waiting"], found["version"]) == ("2", "1")
    assert now(place) == ("1", "1")
    assert "waiting for approval (0 of 1); v1 answers as before" in capsys.readouterr().out
    summary = layouts.read_json(place.workspace.home / "made" / "two" / "deployment" / layouts.SUMMARY)
    assert summary["approval"] == "waiting for approval (0 of 1)"
    # Again, as an unchanged run would: nothing is asked twice.
    ask(place)
    assert [word.kind for word in approvals.words(place.reader.version("flights", "2"))] == [approvals.ASKED]


def test_a_waiting_version_is_refused_by_every_command_that_could_serve_it(place):
    ask(place)

    with pytest.raises(UsageError, match=r"v2 is waiting for approval \(0 of 1\)(.|\n)*fix: ct approve flights 2"):
        promotion.promote(place, "flights", "2", ADA)
    done = ct(place.workspace.home, "promote", "flights", "2")
    assert (done.code, "waiting for approval" in done.err) == (2, True)
    assert promotion.finish(place, "flights") is None
    assert approval.finish(place, "flights") is None
    assert ask(place)["waiting"] == "2"
    assert now(place) == ("1", "1")


def test_an_approved_version_is_champion_and_served_and_the_history_says_by_whom(place):
    ask(place)

    done = ct(place.workspace.home, "approve", "flights", "v2", "--why", ADA.reason, "--by", ADA.name)

    assert (done.code, done.out) == (0, "flights v2 is champion and served, approved by ada@x.org\n")
    assert now(place) == ("2", "2")
    said = [(each.kind, each.version, each.by, each.why) for each in listing.history_with_words(place, "flights")]
    assert said[:3] == [
        ("promote", "2", ADA.name, ADA.reason),
        (approvals.APPROVED, "2", ADA.name, ADA.reason),
        (approvals.ASKED, "2", "", ""),
    ]
    # The same word again finds nothing to do; deploy takes the version for what it is.
    assert not approval.approve(place, "flights", "2", ADA).outcome.changed
    assert "waiting" not in ask(place)
    # Going back needs nobody's word.
    assert promotion.rollback(place, "flights", EVE).move.version == "1"


def test_two_persons_are_two_persons(place):
    ask(place, TWO)

    assert approval.approve(place, "flights", "2", ADA).outcome is None
    with pytest.raises(UsageError, match=r"ADA@X.org +has approved(.|\n)*2 different persons"):
        approval.approve(place, "flights", "2", Person(" ADA@X.org "))
    with pytest.raises(UsageError, match=r"by another person than ada@x\.org"):
        promotion.promote(place, "flights", "2", EVE)
    assert now(place) == ("1", "1")
    assert listing.versions(place, "flights")[0].approval == "waiting for approval (1 of 2 by ada@x.org)"

    assert approval.approve(place, "flights", "2", EVE).outcome.changed
    assert now(place) == ("2", "2")


def test_an_approval_that_has_expired_does_not_count(place):
    ask(place, TWO)
    approval.approve(place, "flights", "2", ADA)
    aged(place, "2", approvals.APPROVED, 3)

    assert approval.approve(place, "flights", "2", EVE).outcome is None

    with pytest.raises(UsageError, match=r"1 of 2 by eve@x.org; the approval of ada@x.org has expired"):
        promotion.promote(place, "flights", "2", EVE)
    assert now(place) == ("1", "1")
    assert approval.approve(place, "flights", "2", ADA).outcome.changed, "a person may approve again"


def test_a_rejection_ends_the_approvals_before_it(place):
    ask(place, TWO)
    approval.approve(place, "flights", "2", ADA)

    done = ct(place.workspace.home, "reject", "flights", "2", "--by", "eve", "--why", "too slow", "--json")

    assert json.loads(done.out)["kind"] == approvals.REJECTED
    assert listing.versions(place, "flights")[0].approval == "rejected by eve: too slow"
    with pytest.raises(UsageError, match="v2 is rejected by eve: too slow"):
        promotion.promote(place, "flights", "2", ADA)
    assert ask(place, TWO)["waiting"] == "2", "a run of the same model does not ask it away"
    assert approval.approve(place, "flights", "2", EVE).outcome is None, "ada's word was before the rejection"
    assert approval.approve(place, "flights", "2", ADA).outcome.changed


def test_the_settings_hold_versions_that_nobody_asked_for(place):
    ask(place, serving={})  # served at once
    held = promotion.dataclasses.replace(place, serving=ONE)

    with pytest.raises(UsageError, match="v1 is waiting for approval"):
        promotion.promote(held, "flights", "1", ADA)
    assert approval.approve(held, "flights", "1", ADA).outcome.changed
    assert now(place) == ("1", "1")


def test_a_word_does_not_stand_in_for_the_blessing(place):
    ask(place)
    source = Path(place.reader.version("flights", "2").source)
    shutil.rmtree(source / layouts.REGISTERED / layouts.KEPT_BLESSING)

    with pytest.raises(ModelNotBlessedError):
        approval.approve(place, "flights", "2", ADA)
    assert not [word for word in approvals.words(place.reader.version("flights", "2")) if word.kind == "approved"]


def test_approval_comes_before_a_release_and_begins_it(place):
    policy = {"canary": [10], "judge": {"request_log": "log"}}
    assert ask(place, {**ONE, "release": policy})["waiting"] == "2"
    assert release_state.read(str(place.serving_root), "flights") is None

    done = approval.approve(place, "flights", "2", ADA)

    assert (done.outcome.release.candidate, done.outcome.release.percent, now(place)) == ("2", 10, ("1", "1"))
    assert approval.pending(place, "flights") == ""


def test_approvals_need_a_registry(place):
    run = make_run(place.workspace.home / "alone", "alone")
    found = serving_folder.Release(run.model, run.blessing, "flights", "7")

    with pytest.raises(ConfigurationError, match="no registry_uri"):
        deploying.deploy(found, deploying.Destination(str(place.serving_root), ONE), 3, str(run.root / "deployment"))
    assert now(place) == ("1", "1")


class _Home:
    """What `endpoint_home.get` and `.post` ask of a home."""

    def __init__(self, folder):
        self.context = endpoint_home.context(folder)


def test_the_page_has_buttons_for_a_waiting_version_and_takes_a_named_persons_word(place, monkeypatch):
    ask(place)
    home = _Home(place.workspace.home.parent)
    (page,) = endpoint_home.get(home, "/models")

    for text in ("waiting for approval (0 of 1)", "/models/flights/approve", "/models/flights/reject"):
        assert text in page.text
    assert "/models/flights/promote" not in page.text, "what waits is not promoted past its approval"
    for action, form, status in (
        ("promote", {"version": "2"}, 400),
        ("approve", {"version": "2"}, 400),  # by nobody
        ("approve", {"version": "2", "by": "ada", "reason": "fine"}, 303),
    ):
        assert now(place) == ("1", "1")
        assert endpoint_home.post(home, f"/models/flights/{action}", form).status_code == status
    assert now(place) == ("2", "2")
    (page,) = endpoint_home.get(home, "/models")
    assert "approved" in page.text
    application = endpoint_home.server.application
    monkeypatch.setattr(
        endpoint_home.server, "application", lambda context: Guard(application(context), ["127.0.0.1"], "")
    )
    foreign = endpoint_home.post(home, "/models/flights/reject", {"version": "1", "by": "eve"}, "http://evil.example")
    assert foreign.status_code == 403
    home.context.database.close()
