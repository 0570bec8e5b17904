"""Triggers that start runs of a service, the endpoint as KFP: single flight, kills, outages, two at once."""

import contextlib
import datetime
import json
import signal
import threading

import pytest
import uvicorn
from rich.console import Console

import recording_proxy
from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.deploy import deploy, kfp_api, service_runs, version
from kfp_ct.deploy.kfp_target import KfpTarget
from kfp_ct.endpoint.api.context import Context
from kfp_ct.endpoint.mlflow_ui import MlflowUi
from kfp_ct.endpoint.server import application
from kfp_ct.endpoint.store.database import Database
from kfp_ct.package import package
from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import service_history, service_watch, watch
from kfp_ct.watch.service_watch import ServiceWatch
from killed import exit_code, in_child, kill_me_at
from local_endpoint import compiled, doubling, until

QUIET = Console(quiet=True)
EXPERIMENT = "watched"
COMMIT = "c" * 40


@contextlib.contextmanager
def endpoint(folder):
    """The endpoint's API without what runs runs: they stay pending until somebody ends them."""
    workspace = Workspace(folder, folder / "home")
    (folder / "home/endpoint").mkdir(parents=True)
    database = Database(workspace.home / "endpoint/endpoint.db")
    app = application(Context(workspace, database, MlflowUi(folder / "mlflow.db", folder / "log")))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        database.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    with endpoint(tmp_path_factory.mktemp("endpoint")) as url, recording_proxy.recording(url) as proxy:
        yield proxy


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "repository/pipelines/small"
    (folder / "settings").mkdir(parents=True)
    (tmp_path / "repository/components").mkdir()
    # Every test has a pipeline of its own: they share one service.
    name = f"p{abs(hash(tmp_path.name)) % 10**8}"
    parameters = {"number": 3}
    (folder / "settings/kind.yaml").write_text(json.dumps({"pipeline": f"pipelines.{name}", "parameters": parameters}))
    (folder / "triggers.yaml").write_text(json.dumps({"triggers": [{"name": "ask", "kind": "on_demand"}]}))
    return Workspace(tmp_path / "repository", tmp_path / "home")


def opened(project, url, kind=service_runs.KfpRuns):
    watched = watch.open_watch(project, "small", "kind")
    service = KfpTarget(kfp_api.connect(url), url)
    return ServiceWatch(watched, service, kind(service, EXPERIMENT), str(project.home / "watch/small.json"))


@pytest.fixture
def watched(project, proxy, tmp_path):
    """A watch of a pipeline that is deployed."""
    made = opened(project, proxy.url)
    path = tmp_path / "package.yaml"
    compiled(doubling, path)
    loaded = package.load_package(path)
    loaded["pipelineInfo"]["name"] = made.settings.pipeline_name
    deploy.deploy(made.service, version.of_package(loaded, made.settings, COMMIT), EXPERIMENT, lambda line: None)
    return made


def runs_of(watched):
    pipeline = watched.settings.pipeline_name
    return watched.runs.active(pipeline, watched.service.pipeline(pipeline))


def later(minutes=5):
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


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
