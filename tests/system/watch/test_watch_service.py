"""Triggers that start runs of a service, the endpoint as KFP: single flight, kills, outages, two at once."""

import signal
import threading

import pytest
from rich.console import Console

import recording_proxy
import service_watches
from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.deploy import service_runs
from kfp_ct.planning.definitions import StoredDefinitions
from kfp_ct.watch import service_history, service_watch
from killed import exit_code, in_child, kill_me_at
from service_watches import COMMIT, later, opened, runs_of

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endpoint")
    with service_watches.endpoint(folder) as url, recording_proxy.recording(url) as proxy:
        yield proxy


@pytest.fixture
def project(tmp_path):
    return service_watches.make(tmp_path)


@pytest.fixture
def watched(project, proxy, tmp_path):
    """A watch of a pipeline that is deployed."""
    return service_watches.deployed(project, proxy.url, tmp_path)


def test_triggers_that_were_applied_beside_the_firings_count(watched):
    StoredDefinitions(watched.state).write("triggers.yaml", "triggers: [{name: mornings, kind: schedule, job: m}]")
    with pytest.raises(UsageError, match="no trigger of the kind on_demand"):
        service_watch.request_run(watched)
    StoredDefinitions(watched.state).write("triggers.yaml", None)
    service_watch.request_run(watched)
    assert service_watch.look(watched, later()).fire


def test_a_request_is_one_run_of_the_version_there_and_is_answered_once(watched):
    assert not service_watch.step(watched, QUIET).fire
    service_watch.request_run(watched)
    assert service_watch.look(watched, later(0)).fire
    assert runs_of(watched) == []
    assert service_watch.step(watched, QUIET).fire
    (run,) = runs_of(watched)
    (claim,) = service_history.read(watched.state).claims
    assert (claim.run, run.name) == (run.id, service_watch.run_name(watched.settings.pipeline_name, claim))
    held = service_watch.step(watched, QUIET)
    assert (held.fire, held.holds) == (False, ("ask: no request",))
    service_watch.request_run(watched)
    assert service_watch.step(watched, QUIET).holds == (f"the run {run.id} is in progress",)

    watched.runs.cancel(run.id)
    assert runs_of(watched) == []
    assert service_watch.step(watched, QUIET).fire, "what was held runs once nothing is in the way"
    states = [each.state for each in service_history.read(watched.state).claims]
    assert states == ["FAILED", "RUNNING"]


def test_a_run_that_a_person_started_holds_it_back(watched):
    pipeline = watched.settings.pipeline_name
    pipeline_id = watched.service.pipeline(pipeline)
    found = watched.service.latest(pipeline_id)
    arguments = dict(watched.settings.parameters)
    by_hand = watched.runs.start(
        service_runs.Start("by hand", pipeline, pipeline_id, COMMIT, found.pipeline_version_id, arguments)
    )
    service_watch.request_run(watched)
    assert service_watch.step(watched, QUIET).holds == (f"the run {by_hand} is in progress",)


@pytest.mark.parametrize(
    "at",
    [("claim_of", "return"), ("_start", "call"), ("run_pipeline", "call"), ("run_pipeline", "return")],
    ids="-".join,
)
def test_killed_between_any_two_calls_it_starts_the_run_once(at, watched, project, proxy):
    service_watch.request_run(watched)
    url = proxy.url

    def stepping():
        there = opened(project, url)
        kill_me_at(*at)
        service_watch.step(there, Console(quiet=True))

    assert exit_code(in_child(stepping)) == -signal.SIGKILL
    started = at in [("run_pipeline", "return")]
    assert len(runs_of(watched)) == started
    now = service_watch.step(watched, QUIET)
    assert len(runs_of(watched)) == (started or at == ("claim_of", "return")), "somebody may still be about to start it"
    assert now.fire is (at == ("claim_of", "return"))
    for minutes in (5, 10):
        service_watch.step(watched, QUIET, later(minutes))
        (run,) = runs_of(watched)
        (claim,) = service_history.read(watched.state).claims
        assert claim.run == run.id


def test_of_two_watches_at_once_one_starts_the_run(watched, project, proxy):
    service_watch.request_run(watched)
    together = threading.Barrier(2, timeout=60)

    class Together(service_runs.KfpRuns):
        def active(self, pipeline, pipeline_id):
            found = super().active(pipeline, pipeline_id)
            together.wait()  # both have read the history, and see no run
            return found

    decisions = []
    threads = [
        threading.Thread(
            target=lambda: decisions.append(service_watch.step(opened(project, proxy.url, Together), QUIET))
        )
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each.fire for each in decisions) == [False, True]
    assert ("another watch of this project was faster",) in [each.holds for each in decisions]
    assert len(runs_of(watched)) == 1


def test_two_runs_of_one_firing_become_one(watched):
    """As when a watch was frozen between its decision and its request for longer than another one waits."""
    service_watch.request_run(watched)
    service_watch.step(watched, QUIET)
    (first,) = runs_of(watched)
    pipeline_id = watched.service.pipeline(watched.settings.pipeline_name)
    found = watched.service.latest(pipeline_id)
    watched.runs.start(
        service_runs.Start(first.name, "", pipeline_id, "", found.pipeline_version_id, watched.settings.parameters)
    )
    assert len(runs_of(watched)) == 2
    service_watch.step(watched, QUIET)
    assert [each.id for each in runs_of(watched)] == [first.id]


def test_a_service_that_is_away_loses_nothing(watched, proxy):
    service_watch.request_run(watched)
    proxy.before = lambda exchange: (503, b"no healthy upstream") if exchange.method == "POST" else None
    try:
        with pytest.raises(TargetError):
            service_watch.step(watched, QUIET)
        with pytest.raises(TargetError):
            service_watch.step(watched, QUIET, later(5))
    finally:
        proxy.before = lambda exchange: None
    assert runs_of(watched) == []
    service_watch.step(watched, QUIET, later(10))
    assert len(runs_of(watched)) == 1


def test_what_is_not_deployed_is_said(project, proxy):
    with pytest.raises(UsageError, match="is not deployed, so no run of it can be started\nfix: ct deploy small"):
        service_watch.step(opened(project, proxy.url), QUIET)
    state = project.home / "watch/small.json"
    state.parent.mkdir(parents=True)
    state.write_text("[1]")
    with pytest.raises(UsageError, match="is no history of `ct watch`"):
        service_history.read(str(state))
