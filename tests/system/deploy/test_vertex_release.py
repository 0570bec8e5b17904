"""A release on a Vertex AI endpoint: its shares are the traffic split, whatever is killed or refused."""

import dataclasses
import datetime
import itertools
import json
import re

import pytest
from pydantic import ValidationError

import cloud_storage
import vertex_listener
from kfp_ct.base.errors import ComponentError, NotServedError
from kfp_ct.champions import listing, promotion
from kfp_ct.models import release_state, release_target, serving_folder
from kfp_ct.models.releases import Releases
from kfp_ct.models.settings import ReleasePolicy, Serving
from kfp_ct.releasing import step
from release_artifacts import make_run
from vertex_place import ENDPOINT, MODEL, KilledError, Place, kill_after
from vertex_serving import NOT_READY, ServingListener

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
TABLE = "bq://acme.ct_predictions.requests"
POLICY = {"canary": [10, 50], "judge": {"request_log": "gs://data/requests"}}
EVIDENCE = [{"name": "errors", "allowed": 0.01, "value": 0.0, "low": -0.01, "high": 0.01}]
HALF, TENTH = {"1": 50, "2": 50}, {"1": 90, "2": 10}


@pytest.fixture(scope="module")
def storage():
    with cloud_storage.running("data"):
        yield


@pytest.fixture
def vertex(storage):
    with vertex_listener.listening(ServingListener()) as listener:
        yield listener


class Canary:
    """A place where v1 answers and releases have a policy."""

    def __init__(self, folder, vertex, policy=POLICY, **section):
        self.place = Place(folder, vertex, vertex=section)
        self.place.deploy("one", "1")
        self.place.serving["release"] = policy

    @property
    def releases(self):
        place = self.place
        return release_target.open_releases(place.serving, place.root, "flights", place.registry)

    @property
    def state(self):
        return release_state.read(self.place.root, "flights").state

    def start(self):
        """Deploys the candidate; returns what the deployment says."""
        return self.place.deploy("two", "2")

    def look(self, verdict):
        """What `ct release step` does with a judge that says so; nothing where no release runs."""
        opened = self.releases
        kept = opened.running("flights")
        found = {"verdict": verdict, "reason": f"so it {verdict}s", "criteria": EVIDENCE}
        return opened.apply(kept, found, NOW) if kept else None

    def seen(self):
        return self.place.seen()


def splits(vertex):
    """The traffic splits that were set, in order, each once."""
    bodies = [body for method, _, _, body in vertex.requests if method == "PATCH"]
    return [split for split, _ in itertools.groupby(body["trafficSplit"] for body in bodies if "trafficSplit" in body)]


def test_each_step_sets_the_split_and_is_recorded_with_its_evidence(tmp_path, vertex, capsys):
    canary = Canary(tmp_path, vertex)

    assert canary.start()["candidate"] == "2"
    assert canary.seen() == ("1", "1", ["1", "2"], TENTH)
    canary.look("hold")
    assert (canary.seen()[3], canary.state.look["criteria"]) == (TENTH, EVIDENCE)
    canary.look("advance")
    assert canary.seen() == ("1", "1", ["1", "2"], HALF)
    assert canary.look("promote").state == "promoted"

    assert canary.seen() == ("2", "2", ["2"], {"2": 100})
    assert splits(vertex) == [{"1": 100}, TENTH, HALF, {"2": 100}]
    assert "champion" in vertex.models[MODEL][1].version_aliases
    steps = [(step["percent"], step["decision"], step["evidence"]["criteria"]) for step in canary.state.steps]
    assert steps == [(10, "running", EVIDENCE), (50, "promoting", EVIDENCE)]
    assert release_state.archived(canary.place.root, "flights") == [canary.state]
    assert "moved by another" not in capsys.readouterr().out


def test_a_candidate_that_is_backed_out_has_no_traffic_and_is_undeployed(tmp_path, vertex):
    canary = Canary(tmp_path, vertex)
    canary.start()
    canary.look("advance")

    assert canary.look("back_out").state == "backed_out"

    assert canary.seen() == ("1", "1", ["1"], {"1": 100})
    assert splits(vertex) == [{"1": 100}, TENTH, HALF, {"1": 100}]


def test_promote_begins_a_release_and_models_and_rollback_know_it(tmp_path, vertex):
    canary = Canary(tmp_path, vertex)
    canary.start()
    canary.look("advance")
    found = {each.version: each for each in listing.versions(canary.place.location, "flights")}
    assert (found["1"].champion, found["2"].release) == (True, "canary 50 %")
    canary.look("promote")

    outcome = promotion.promote(canary.place.location, "flights", "1", promotion.Person("ada"))

    assert (outcome.release.candidate, outcome.release.by) == ("1", "ada")
    assert canary.seen() == ("2", "2", ["1", "2"], {"1": 10, "2": 90})
    canary.releases.abort("flights", "ada says so", NOW)
    promotion.rollback(canary.place.location, "flights", promotion.Person("ada"))
    assert canary.seen() == ("1", "1", ["1"], {"1": 100}), "going back is not tried first"


class Bare:
    """The same without a registry: releases and the endpoint alone."""

    def __init__(self, place, runs):
        self.place, self.runs, self.moved = place, runs, []
        note = self.moved.append
        self.releases = Releases(place.root, place.target, note, note)
        self.place.target.serve(self.release("1"), 3)

    def release(self, version):
        run = self.runs[version]
        return serving_folder.Release(run.model, run.blessing, "flights", version)

    def go(self, end):
        """Goes through a release as whoever comes after a kill does: each command looks at what is there."""
        kept = release_state.read(self.place.root, "flights")
        if kept is None or (kept.state.state == "running" and kept.state.step == 0):
            self.releases.start(self.release("2"), ReleasePolicy.model_validate(POLICY), NOW)
            self.look("advance")
        if self.state.unfinished:
            self.look(end)
        self.releases.finish("flights")

    @property
    def state(self):
        return release_state.read(self.place.root, "flights").state

    def stepped(self):
        """What `ct release step` does with a judge that holds."""
        place = dataclasses.replace(self.place.location, registry_uri="")
        return step.step(place, "flights", lambda state: {"verdict": "hold", "reason": "so", "criteria": []})

    def look(self, verdict):
        kept = self.releases.running("flights")
        if kept:
            self.releases.apply(kept, {"verdict": verdict, "reason": "so", "criteria": EVIDENCE}, NOW)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return {number: make_run(tmp_path_factory.mktemp(name), name) for number, name in (("1", "one"), ("2", "two"))}


@pytest.mark.parametrize(("end", "last"), [("promote", {"2": 100}), ("back_out", {"1": 100})], ids=["up", "back"])
def test_a_release_that_is_killed_after_any_write_is_gone_on_with(end, last, runs, tmp_path, storage):
    for writes in itertools.count(1):
        with vertex_listener.listening(ServingListener()) as vertex, pytest.MonkeyPatch.context() as patched:
            bare = Bare(Place(tmp_path, vertex), runs)
            kill_after(writes, patched, states=True)
            try:
                bare.go(end)
            except KilledError:
                bare.go(end)
            else:
                break
            (number,) = last
            assert bare.place.seen() == ("", number, [number], last), writes
            assert splits(vertex) == [{"1": 100}, TENTH, HALF, last], writes
            assert [vertex.verbs.count(verb) for verb in ("models:upload", ":deployModel")] == [2, 2]
            (state,) = release_state.archived(bare.place.root, "flights")
            assert [step["percent"] for step in state.steps] == [10, 50], writes
            assert bare.moved, "the alias or the mark follows"
    assert writes > 9, "upload, deployment, three splits, an undeployment, and the states"


ANSWERS = [
    (403, "Vertex AI forbids PATCH .*endpoints/flights"),
    (429, "a quota is used up"),
    (503, r"is away \(503\) for PATCH"),
]


@pytest.mark.parametrize("end", ["advance", "promote"])
@pytest.mark.parametrize(("status", "says"), ANSWERS, ids=lambda each: str(each)[:3])
def test_a_split_that_is_refused_says_so_in_one_line_and_the_next_look_sets_it(
    status, says, end, runs, tmp_path, vertex
):
    bare = Bare(Place(tmp_path, vertex), runs)
    bare.releases.start(bare.release("2"), ReleasePolicy.model_validate(POLICY), NOW)
    vertex.refusals["endpoints/flights"] = [status, status]

    for look in (lambda: bare.look(end), bare.stepped):  # the second goes on with what the first has decided
        with pytest.raises(ComponentError) as caught:
            look()
        first = str(caught.value).partition("\n")[0]
        assert re.search(says, first), first
        assert bare.place.seen()[3] == TENTH
        assert bare.state.state in ("running", "promoting"), "it says nothing of the candidate"

    bare.stepped()
    assert bare.place.seen()[3] == (HALF if end == "advance" else {"2": 100})


def test_a_candidate_that_cannot_be_taken_away_goes_with_the_next_look(runs, tmp_path, vertex):
    bare = Bare(Place(tmp_path, vertex), runs)
    bare.releases.start(bare.release("2"), ReleasePolicy.model_validate(POLICY), NOW)
    vertex.refusals[":undeployModel"] = [503, 503]

    for look in (lambda: bare.look("back_out"), bare.stepped):
        with pytest.raises(ComponentError, match="is away"):
            look()
        assert (bare.state.state, bare.place.seen()[2:]) == ("backed_out", (["1", "2"], {"1": 100}))

    assert bare.stepped() is None
    assert bare.place.seen()[2] == ["1"]
    assert [each["decision"] for each in bare.state.steps] == ["backing_out"], "it is decided once"


def test_a_candidate_that_does_not_get_ready_begins_no_release(tmp_path, vertex):
    canary = Canary(tmp_path, vertex)
    vertex.broken["2"] = NOT_READY

    with pytest.raises(NotServedError, match=r"v2 ready: Model server never became ready(.|\n)*v1 answers as before"):
        canary.start()

    assert canary.seen() == ("1", "1", ["1"], {"1": 100})
    assert release_state.read(canary.place.root, "flights") is None


def test_an_etag_that_is_no_longer_the_endpoints_is_read_again(tmp_path, vertex):
    canary = Canary(tmp_path, vertex)
    canary.start()

    def labelled():
        vertex.endpoints[ENDPOINT].labels["team"] = "flights"
        vertex.endpoints[ENDPOINT].etag = "77"

    vertex.meanwhile = labelled
    canary.look("advance")

    assert canary.seen()[3] == HALF
    assert vertex.endpoints[ENDPOINT].labels["team"] == "flights"


def test_traffic_that_was_moved_by_hand_is_said_and_set_again(tmp_path, vertex, capsys):
    canary = Canary(tmp_path, vertex)
    canary.start()
    vertex.endpoints[ENDPOINT].traffic_split = {"1": 60, "2": 40}

    canary.look("hold")

    assert canary.seen()[3] == TENTH
    said = [line for line in capsys.readouterr().out.splitlines() if "moved by another" in line]
    assert said == [
        f"progress: {ENDPOINT}: the traffic was moved by another to v1 60 %, v2 40 %; the release of flights gives "
        "v1 90 %, v2 10 % again"
    ]


def test_the_judge_knows_the_endpoint_whose_rows_it_reads(tmp_path, vertex):
    judge = {"request_log": TABLE, "log": {"bigquery": {"project": "acme-billing"}}}
    section = {"bigquery_log": TABLE, "bigquery_log_sample": 0.5, "endpoint": "flights"}
    canary = Canary(tmp_path, vertex, {"canary": [10], "judge": judge}, **section)

    canary.start()

    log = json.loads(json.dumps(canary.state.policy))["judge"]["log"]
    assert (log["endpoint"], log["location"], log["sample"]) == ("flights", "europe-west1", 0.5)
    assert log["bigquery"]["project"] == "acme-billing"
    assert canary.state.rules.judge.log.sample == 0.5


@pytest.mark.parametrize(
    ("judge", "section", "words"),
    [
        ({"request_log": TABLE}, {}, "the endpoint logs to no table"),
        ({"request_log": TABLE}, {"bigquery_log": f"{TABLE}2"}, f"the endpoint logs to {TABLE}2"),
        ({"request_log": "bq://acme"}, {"bigquery_log": "bq://acme"}, "names no table of BigQuery"),
        ({"request_log": TABLE, "log": {"sample": 0.5}}, {"bigquery_log": TABLE}, "are those of serving.vertex"),
        ({"request_log": "gs://a/b", "log": {"sample": 0.5}}, {}, "says how a table of BigQuery is read"),
    ],
    ids=["no log", "another table", "no table", "said twice", "a bucket"],
)
def test_a_judge_that_reads_what_vertex_does_not_write_is_refused(judge, section, words):
    vertex = {"project": "acme", "location": "europe-west1", "image": "r/serving@sha256:1", **section}
    with pytest.raises(ValidationError, match=words):
        Serving.model_validate({"target": "vertex", "vertex": vertex, "release": {"canary": [10], "judge": judge}})
