"""Waiting for a run on KFP: tasks and not nodes, why one failed or does not start, a service that is away a while."""

import dataclasses
import datetime
import time

import pytest

import kfp_stand_in
import seaweedfs
from ct_command import ct
from kfp_ct.base.errors import RequestRefusedError, RunFailedError, TargetError, UsageError
from kfp_ct.deploy import kfp_api, kfp_identity, kfp_target, progress, target
from kfp_ct.deploy.schedules.kfp_schedules import KfpSchedules
from kfp_ct.deploy.schedules.plan import Desired
from kfp_ct.storage import storage

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TRACEBACK = "Traceback (most recent call last):\n  …\nValueError: 3 rows\n"


@pytest.fixture
def kfp_service(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with kfp_stand_in.serving() as service:
        yield service


def run(state, tasks, **more):
    found = kfp_stand_in.details(tasks, named=more.pop("named", False))
    return {"run_id": "run-1", "display_name": "a run", "state": state, **more, "run_details": {"task_details": found}}


class Clock:
    """Time that passes by waiting only."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    def waiting(self, every=5.0):
        return progress.Waiting(None, every, self.sleep, lambda: self.now)


def followed(service, clock=None):
    lines = []
    connected = kfp_target.KfpTarget(kfp_api.connect(service.url), service.url)
    try:
        progress.follow(connected, "run-1", lines.append, (clock or Clock()).waiting())
    except RunFailedError as error:
        return lines, str(error)
    return lines, ""


@pytest.mark.parametrize("named", [False, True])
def test_there_is_a_line_for_every_change_of_a_task_and_none_for_nodes(kfp_service, named):
    kfp_service.logs["node-executor-ingest-0"] = "working\nsummary: train 685 rows\nsummary: train 700 rows\n"
    kfp_service.views = [
        run("RUNNING", {}, named=named),
        run("RUNNING", {"ingest": "DRIVEN"}, named=named),
        run("RUNNING", {"ingest": "RUNNING"}, named=named),
        run("RUNNING", {"ingest": "RUNNING"}, named=named),
        run("RUNNING", {"ingest": "SUCCEEDED", "condition-1": "RUNNING", "statistics": "RUNNING"}, named=named),
        run("SUCCEEDED", {"ingest": "SUCCEEDED", "condition-1": "SUCCEEDED", "statistics": "SUCCEEDED"}, named=named),
    ]
    lines, failure = followed(kfp_service)
    assert not failure
    assert lines == [
        "run: RUNNING", "ingest: PENDING", "ingest: RUNNING", "ingest: SUCCEEDED: train 700 rows",
        "statistics: RUNNING", "run: SUCCEEDED", "statistics: SUCCEEDED",
    ]  # fmt: skip


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("log", "said"),
    [
        pytest.param(
            "progress: 1 of 2\nerror: the label has one value\n  fix: take more rows\nWARNING late\n",
            "train: the label has one value\n  fix: take more rows",
            id="our-message",
        ),
        pytest.param(
            f"line\n{TRACEBACK}",
            "train: the last lines of its log:\n  line\n  Traceback (most recent call last):\n    …\n  ValueError",
            id="log",
        ),
    ],
)
def test_a_failed_task_is_told_with_its_own_message_or_its_last_lines(kfp_service, named, log, said):
    kfp_service.logs["node-executor-train-0"] = log
    kfp_service.logs["node-executor-ingest-0"] = "error: not this one\n"
    error = {"code": 13, "message": "workflow failed: child 'flights-training-x7k2p-99' failed"}
    kfp_service.views = [run("FAILED", {"ingest": "SUCCEEDED", "train": "FAILED"}, error=error, named=named)]
    _, failure = followed(kfp_service)
    assert failure.startswith("the run ended as FAILED: train failed\n")
    assert said in failure
    assert "not this one" not in failure
    assert failure.endswith(error["message"])


def test_a_failed_task_whose_pod_is_gone_is_told_from_what_the_launcher_kept(kfp_service, monkeypatch):
    """The stand-in answers 404 for the log of a pod; the store is a real one."""
    spec = {"pipelineInfo": {"name": "flights-training"}}
    config = {"parameters": {}, "pipeline_root": "s3://data/root"}
    kfp_service.views = [run("FAILED", {"train": "FAILED"}, named=True, pipeline_spec=spec, runtime_config=config)]
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        place = "s3://data/root/flights-training/run-1/train"
        storage.write(f"{place}/1-first/executor-logs", b"error: the first try\n")
        time.sleep(1.1)  # the store tells times to the second
        storage.write(f"{place}/2-second/executor-logs", b"working\nerror: the label has one value\n  fix: take more\n")
        _, failure = followed(kfp_service)
        assert "train: the label has one value\n  fix: take more" in failure
        for name in store.environment():
            monkeypatch.delenv(name)
        _, failure = followed(kfp_service)
    assert failure == "the run ended as FAILED: train failed"


def test_an_importer_is_a_task_and_the_workflow_alone_is_none(kfp_service):
    only = run("RUNNING", {})
    only["run_details"]["task_details"] = only["run_details"]["task_details"][:2]
    done = run("SUCCEEDED", {"ingest": "SUCCEEDED"})
    done["run_details"]["task_details"].append(kfp_stand_in.node("fetch-model", "SUCCEEDED", 20))
    kfp_service.views = [only, done]
    assert followed(kfp_service)[0] == [
        "run: RUNNING", "run: SUCCEEDED", "ingest: SUCCEEDED", "fetch-model: SUCCEEDED",
    ]  # fmt: skip


def test_a_driver_that_failed_is_its_tasks_failure(kfp_service):
    view = run("FAILED", {"ingest": "DRIVEN"})
    for each in view["run_details"]["task_details"]:
        if each["display_name"].startswith("ingest-driver"):
            each["state"] = "FAILED"
    kfp_service.logs["node-ingest-driver-0"] = "failed to resolve pvc name\n"
    kfp_service.views = [view]
    lines, failure = followed(kfp_service)
    assert "ingest: FAILED" in lines
    assert "failed to resolve pvc name" in failure


def test_tries_of_a_task_are_counted(kfp_service):
    again = run("RUNNING", {"train": "RUNNING"})
    again["run_details"]["task_details"].append(kfp_stand_in.node("train(1)", "RUNNING", 30))
    kfp_service.views = [run("RUNNING", {"train": "RUNNING"}), again, run("SUCCEEDED", {"train": "SUCCEEDED"})]
    assert "train: RUNNING (try 2)" in followed(kfp_service)[0]


def test_a_run_that_does_not_go_on_is_told_once_with_the_commands_that_show_why(kfp_service):
    kfp_service.views = [*[run("RUNNING", {"train": "PENDING"})] * 40, run("SUCCEEDED", {"train": "SUCCEEDED"})]
    lines, _ = followed(kfp_service)
    told = [line for line in lines if line.startswith("waiting: nothing has changed for a minute (train)")]
    assert len(told) == 1
    assert "kubectl -n kubeflow get pods -l pipeline/runid=run-1" in told[0]


def test_a_service_that_is_away_for_two_minutes_is_waited_for_and_told_once(kfp_service):
    kfp_service.views = [run("RUNNING", {"train": "RUNNING"}), run("SUCCEEDED", {"train": "SUCCEEDED"})]
    clock = Clock()

    def sleep(seconds):
        if not clock.now:
            kfp_service.outages = 10
        clock.now += seconds

    clock_waiting = progress.Waiting(None, 5.0, sleep, lambda: clock.now)
    lines = []
    connected = kfp_target.KfpTarget(kfp_api.connect(kfp_service.url), kfp_service.url)
    assert progress.follow(connected, "run-1", lines.append, clock_waiting).state == "SUCCEEDED"
    assert [line.split(": ")[0] for line in lines if "waiting" in line] == ["waiting"]
    assert "the service is back" in lines
    assert clock.now > 110


def test_a_service_that_stays_away_and_one_that_refuses_are_not_waited_for(kfp_service):
    clock = Clock()
    kfp_service.outages = 1000
    with pytest.raises(TargetError, match="503"):
        followed(kfp_service, clock)
    assert 120 <= clock.now <= 300
    kfp_service.outages, kfp_service.requests = 0, []
    with pytest.raises(RequestRefusedError, match="404"):
        followed(kfp_service)
    assert [each for each in kfp_service.requests if "healthz" not in each] == ["GET /apis/v2beta1/runs/run-1"]


def test_an_address_that_is_something_else_is_told_in_one_line(kfp_service):
    def refused(path=""):
        with pytest.raises(RequestRefusedError) as error:
            kfp_identity.identify(kfp_api.connect(kfp_service.url + path), kfp_service.url + path)
        return str(error.value).splitlines()[0]

    assert refused("/pipeline").endswith("answers 404 to /apis/v2beta1/healthz: it is not Kubeflow Pipelines' API")
    kfp_service.health = {"status": "ok"}
    assert "it is not Kubeflow Pipelines' API" in refused()
    kfp_service.page = "<html><title>Log in to\n Dex</title>"
    assert refused().endswith("answers with a web page (Log in to Dex), not as Kubeflow Pipelines' API")


def test_targets_are_what_they_are_called(kfp_service):
    client = kfp_api.connect(kfp_service.url)
    found = kfp_identity.require_kind(client, kfp_service.url, target.KFP)
    assert (found.name, found.is_local) == ("Kubeflow Pipelines 2.17.0", False)
    with pytest.raises(UsageError, match=r"is Kubeflow Pipelines 2\.17\.0, not `ct up`"):
        kfp_identity.require_kind(client, kfp_service.url, target.LOCAL)
    kfp_service.served_by = "kfp-ct"
    with pytest.raises(UsageError, match="is `ct up`, which runs tasks on its own machine"):
        kfp_identity.require_kind(client, kfp_service.url, target.KFP)


def test_the_command_takes_up_waiting(kfp_service, tmp_path):
    kfp_service.logs["node-executor-train-0"] = "error: not enough rows\n"
    kfp_service.views = [run("RUNNING", {"train": "RUNNING"}), run("FAILED", {"train": "FAILED"})]
    found = ct(tmp_path, "wait", "run-1", "--target", "kfp", "--host", kfp_service.url)
    assert found.code == 4, found.err
    assert "train: RUNNING" in found.out
    assert "train failed" in found.err
    assert "not enough rows" in found.err
    kfp_service.views = [run("SUCCEEDED", {"train": "SUCCEEDED"})]
    done = ct(tmp_path, "wait", "run-1", "--target", "kfp", "--host", kfp_service.url, "--json")
    assert (done.code, done.record) == (0, {"run": "run-1", "state": "SUCCEEDED", "tasks": {"train": "SUCCEEDED"}})
    assert ct(tmp_path, "wait", "run-1", "--host", kfp_service.url).code == 2  # it is no `ct up`


def desired(name):
    return Desired(
        name=name, project="flights", pipeline="flights-training", pipeline_id="p", version_id="v", version="a" * 40,
        arguments={}, cron="0 0 7 * * 1", interval=0, zone="UTC", max_concurrency=1, catch_up=False,
    )  # fmt: skip


def test_descriptions_of_schedules_fit_the_database_and_tell_their_pipeline(kfp_service):
    connected = kfp_target.KfpTarget(kfp_api.connect(kfp_service.url), kfp_service.url)
    connected.experiment = lambda name: "e"
    schedules = KfpSchedules(connected, "flights", "flights", 0.0)
    now = datetime.datetime.now(datetime.UTC)
    schedules.create(desired("n" * 50), now, True)
    assert len(kfp_service.recurring[0]["description"]) <= 255
    kfp_service.recurring[0].setdefault("status", "ENABLED")
    (found,) = schedules.actual()
    assert (found.name, found.pipeline, found.version) == ("n" * 50, "flights-training", "a" * 40)
    with pytest.raises(UsageError, match="expected: at most 255"):
        schedules.create(dataclasses.replace(desired("n" * 50), project="p" * 60), now, True)
    assert len(kfp_service.scheduled_workflows) == 1  # nothing was sent


def test_a_refused_schedule_says_how_a_phantom_is_found(kfp_service):
    connected = kfp_target.KfpTarget(kfp_api.connect(kfp_service.url), kfp_service.url, "team-a")
    connected.experiment = lambda name: "e"
    kfp_service.longest_description = 100
    with pytest.raises(TargetError) as refused:
        KfpSchedules(connected, "flights", "flights", 0.0).create(
            desired("weekly"), datetime.datetime.now(datetime.UTC), True
        )
    assert "Data too long for column 'Description'" in str(refused.value)
    assert "kubectl -n team-a get swf" in str(refused.value)
    assert kfp_service.scheduled_workflows == ["flights-training-weekly-1"]
