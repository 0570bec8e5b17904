"""A deployment with a release policy begins a release; whatever is killed, the next command ends it."""

import datetime
import json
import shutil
import signal

import pytest

from kfp_ct.base.errors import ConfigurationError, UsageError
from kfp_ct.components.deploy import work
from kfp_ct.components.register import work as registering
from kfp_ct.data import layouts
from kfp_ct.models import registry, release_state, release_target, releases, serving_folder
from killed import exit_code, in_child, kill_me_at
from release_artifacts import Run, make_run

NOW = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)
POLICY = {"canary": [1, 50], "judge": {"request_log": "log"}}
SERVING = {"release": POLICY}
HOLD, ADVANCE, PROMOTE, BACK_OUT = (
    {"verdict": verdict, "reason": "so", "criteria": []} for verdict in ("hold", "advance", "promote", "back_out")
)


class Place:
    """A serving folder in which v1 is served; what is to follow in a registry is noted in a file."""

    registry = ""

    def __init__(self, folder, first=True):
        self.root, self.folder = str(folder / "serving"), folder
        self.versions = {"one": "1", "two": "2", "three": "3"}
        if first:
            self.deploy("one", serving={})

    def release(self, content):
        run = (
            make_run(self.folder / content, content)
            if not (self.folder / content).exists()
            else Run(self.folder / content)
        )
        return serving_folder.Release(run.model, run.blessing, "m", self.versions[content])

    def deploy(self, content, serving=SERVING):
        """Deploys a model; returns the deployment."""
        destination = work.Destination(self.root, serving, self.registry)
        return work.deploy(self.release(content), destination, 3, str(self.folder / content / "deployment"))

    @property
    def releases(self):
        return releases.Releases(self.root, releases.FolderTraffic(self.root), self.promoted, self.backed_out)

    def promoted(self, state):
        with (self.folder / "noted").open("a") as file:
            file.write(f"champion {state.candidate}\n")

    def backed_out(self, state):
        with (self.folder / "noted").open("a") as file:
            file.write(f"marked {state.candidate}\n")

    @property
    def noted(self):
        path = self.folder / "noted"
        return sorted(set(path.read_text().splitlines())) if path.exists() else []

    @property
    def state(self):
        return release_state.read(self.root, "m").state

    def look(self, found):
        return self.releases.apply(self.releases.running("m"), found, NOW)

    def there(self):
        """Returns what is served, and the candidates that lie there."""
        folder = self.folder / "serving" / "m" / "candidate"
        return serving_folder.served(self.root, "m"), sorted(each.name for each in folder.glob("*"))


class Registered(Place):
    """The same with a registry in which v1 is the champion."""

    def __init__(self, folder):
        self.registry = f"sqlite:///{folder}/registry.db"
        super().__init__(folder)

    def release(self, content):
        found = super().release(content)
        registering.register(Run(self.folder / content).candidate(content), self.registry, "m", False)
        return found

    @property
    def releases(self):
        return release_target.open_releases(SERVING, self.root, "m", self.registry)

    def champion(self):
        return registry.open_reader(self.registry).champion("m").number

    def tag(self, version):
        return registry.open_reader(self.registry).version("m", version).tags["release"]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_deployment_begins_a_release_and_the_champion_stays(place):
    found = place.deploy("two")

    assert (found["version"], found["candidate"]) == ("1", "2")
    assert place.there() == ("1", ["2"])
    assert (place.state.state, place.state.percent, place.state.live) == ("running", 1, "1")
    assert layouts.read_json(place.folder / "two" / "deployment" / layouts.SUMMARY)["release"] == place.state.id
    # The same deployment again goes on with it.
    before = place.state
    place.deploy("two")
    assert place.state == before


def test_the_first_model_is_served_at_once(tmp_path):
    place = Place(tmp_path, first=False)
    place.deploy("one")
    assert place.there() == ("1", [])
    assert release_state.read(place.root, "m") is None


def test_looks_hold_advance_and_promote(tmp_path):
    place = Registered(tmp_path)
    place.deploy("two")
    assert (place.there(), place.champion()) == (("1", ["2"]), "1")
    assert place.look(HOLD).percent == 1
    assert place.state.look["verdict"] == "hold"
    assert (place.look(ADVANCE).percent, place.state.step) == (50, 1)
    ended = place.look(PROMOTE)

    assert (ended.state, [step["decision"] for step in ended.steps]) == ("promoted", ["running", "promoting"])
    assert (place.there(), place.champion(), place.tag("2")) == (("2", []), "2", "promoted: so")
    assert json.loads((place.folder / "serving" / "m.json").read_text())["previous"] == "1"
    assert place.releases.running("m") is None
    # The next one is backed out, and marked.
    place.deploy("three")
    ended = place.look(BACK_OUT)
    assert (ended.state, place.there()) == ("backed_out", ("2", []))
    assert (place.champion(), place.tag("3")) == ("2", "backed out: so")


def test_a_newer_candidate_ends_the_release_of_the_one_before(place):
    place.deploy("two")
    place.deploy("three")

    assert (place.state.candidate, place.there()) == ("3", ("1", ["3"]))
    (before,) = release_state.archived(place.root, "m")
    assert (before.candidate, before.reason) == ("2", "v3 is released instead")


def test_a_deployment_without_a_policy_ends_a_release(place):
    place.deploy("two")
    place.deploy("three", serving={})
    assert place.there() == ("3", [])
    assert place.state.state == "backed_out"


def test_a_release_is_aborted_once(place):
    place.deploy("two")
    place.releases.abort("m", "aborted by me", NOW)
    assert (place.state.reason, place.there(), place.noted) == ("aborted by me", ("1", []), ["marked 2"])
    with pytest.raises(UsageError, match="no release of m runs"):
        place.releases.abort("m", "again", NOW)


def test_a_look_at_what_another_has_changed_changes_nothing(place):
    place.deploy("two")
    old = place.releases.running("m")
    place.look(ADVANCE)
    with pytest.raises(Exception, match="changed by another at the same time"):
        place.releases.apply(old, BACK_OUT, NOW)
    assert (place.state.state, place.state.percent) == ("running", 50)


def test_a_candidate_whose_files_are_gone_is_said(place):
    place.deploy("two")
    shutil.rmtree(place.folder / "serving" / "m" / "candidate" / "2")
    with pytest.raises(ConfigurationError, match="the candidate cannot become the served version"):
        place.look(PROMOTE)
    assert place.there()[0] == "1"


STARTING = [
    ("publish_candidate", "call"), ("publish_candidate", "return"), ("write", "call"), ("write", "return"),
]  # fmt: skip
PROMOTING = [
    ("concluded", "call"), ("promote_candidate", "call"), ("_make_served", "call"), ("promote_candidate", "return"),
    ("promoted", "call"), ("promoted", "return"), ("archive", "call"), ("archive", "return"),
]  # fmt: skip
BACKING_OUT = [
    ("concluded", "return"), ("backed_out", "call"), ("backed_out", "return"), ("archive", "return"),
    ("withdraw", "call"), ("withdraw", "return"),
]  # fmt: skip


def killed(act, point):
    def child():
        kill_me_at(*point)
        act()

    return exit_code(in_child(child))


@pytest.mark.parametrize("point", STARTING, ids="-".join)
def test_a_start_that_is_killed_is_gone_on_with(place, point):
    place.release("two")  # the files of its run
    assert killed(lambda: place.deploy("two"), point) == -signal.SIGKILL
    assert place.there()[0] == "1"
    place.deploy("two")
    assert (place.state.state, place.there()) == ("running", ("1", ["2"]))


@pytest.mark.parametrize("point", PROMOTING, ids="-".join)
def test_a_promotion_that_is_killed_is_finished(place, point):
    place.deploy("two")
    assert killed(lambda: place.look(PROMOTE), point) == -signal.SIGKILL
    assert place.there()[0] in ("1", "2")
    if place.state.state == "running":  # nothing was decided yet
        place.look(PROMOTE)
    place.releases.finish("m")

    assert (place.state.state, place.there(), place.noted) == ("promoted", ("2", []), ["champion 2"])
    assert [each.state for each in release_state.archived(place.root, "m")] == ["promoted"]
    assert len(place.state.steps) == 1


@pytest.mark.parametrize("point", BACKING_OUT, ids="-".join)
def test_a_back_out_that_is_killed_is_finished(place, point):
    place.deploy("two")
    assert killed(lambda: place.look(BACK_OUT), point) == -signal.SIGKILL
    if place.state.state == "running":
        place.look(BACK_OUT)
    place.releases.finish("m")

    assert (place.state.state, place.there(), place.noted) == ("backed_out", ("1", []), ["marked 2"])
    assert len(place.state.steps) == 1
