"""Google's own clients against a listener for Vertex AI and the real fake-gcs-server: what is sent, what is stored."""

import json

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from rich.console import Console

import cloud_storage
import service_watches
import vertex_listener
from kfp_ct.base.errors import RunFailedError, TargetError, UsageError
from kfp_ct.deploy import deploy, progress, service_runs, version
from kfp_ct.deploy.schedules import apply, plan, wanted
from kfp_ct.deploy.schedules.vertex_schedules import VertexSchedules, expression
from kfp_ct.deploy.schedules.wanted import ScheduleTarget
from kfp_ct.deploy.vertex_target import VertexTarget, label
from kfp_ct.package import package
from kfp_ct.project import settings, workspace
from kfp_ct.watch import messages, service_history, service_watch, watch
from kfp_ct.watch.service_watch import ServiceWatch
from local_endpoint import compiled, doubling, waiting

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
COMMIT, OTHER = "a" * 40, "b" * 40
PARENT = "/v1/projects/acme/locations/europe-west1"
KEY = "projects/acme/locations/europe-west1/keyRings/r/cryptoKeys/k"


@pytest.fixture(scope="module")
def bucket():
    with cloud_storage.running("acme-ct") as bucket:
        yield bucket


@pytest.fixture
def listener():
    with vertex_listener.listening() as listener:
        yield listener


@pytest.fixture
def service(bucket, listener):
    section = {
        "project": "acme", "location": "europe-west1", "bucket": "gs://acme-ct/models", "labels": {"team": "air"},
        "service_account": "runner@acme.iam.gserviceaccount.com", "network": "projects/1/global/networks/vpc",
        "encryption_key": KEY, "caching": False, "api_endpoint": listener.url,
    }  # fmt: skip
    return VertexTarget(section, AnonymousCredentials())


def of(pipeline, tmp_path, name, commit=COMMIT, **parameters):
    path = tmp_path / "package.yaml"
    compiled(pipeline, path)
    made = package.load_package(path)
    made["pipelineInfo"]["name"] = name
    return version.of_package(made, settings.Settings("small", "prod", "pipelines.doubling", parameters), commit)


def test_doctor_asks_for_a_run_and_for_the_bucket(service, listener):
    service.reach()
    assert ("GET", f"{PARENT}/pipelineJobs") in [each[:2] for each in listener.requests]
    elsewhere = VertexTarget({**service.section, "bucket": "gs://no-such-bucket"}, AnonymousCredentials())
    with pytest.raises(TargetError, match="there is no bucket no-such-bucket"):
        elsewhere.reach()


def put(service, wanted_):
    return deploy.deploy(service, wanted_, "flights", lambda line: None)


def test_triggers_start_one_job_whose_id_is_the_firings(service, listener, tmp_path):
    made = of(doubling, tmp_path, "watched", number=2)
    done = put(service, made)
    runs = service_runs.of_service(service, "watched")
    wanted_ = service_runs.Start("watched-watch-1", "watched", "watched", COMMIT, done.version_id, {"number": 2})
    assert (runs.active("watched", ""), runs.named("watched-watch-1")) == ([], [])
    run = runs.start(wanted_)
    assert run == f"{PARENT.removeprefix('/v1/')}/pipelineJobs/watched-watch-1"
    assert runs.start(wanted_) == run, "the service itself knows it twice as one"
    sent = [body for method, path, _, body in listener.requests if (method, path) == ("POST", f"{PARENT}/pipelineJobs")]
    assert [each["serviceAccount"] for each in sent] == [service.section["service_account"]] * 2
    assert sent[0]["runtimeConfig"]["parameterValues"] == {"number": 2}
    assert [each.id for each in runs.active("watched", "")] == [run]
    assert runs.active("another", "") == []
    (found,) = runs.named("watched-watch-1")
    assert (found.id, found.ended) == (run, False)
    assert runs.named("watched-watch-1")[0].ended
    runs.cancel(run)
    assert f"POST {PARENT}/pipelineJobs/watched-watch-1:cancel" in listener.writes()


def test_a_message_starts_one_job(service, listener, tmp_path):
    project = service_watches.make(tmp_path)
    watched = watch.open_watch(project, "small", "kind")
    name = settings.load(project, "small", "kind", {}).pipeline_name
    put(service, of(doubling, tmp_path, name, number=3))
    runs = service_runs.of_service(service, "flights")
    opened = ServiceWatch(watched, service, runs, "gs://acme-ct/models/watch/small.json")
    message = messages.from_pubsub("7", b'{"cause": "June is back"}', {})
    listener.states = ["PIPELINE_STATE_RUNNING"]
    assert service_watch.take(opened, [message, messages.from_pubsub("8", b"{}", {})]).keys() == {"pubsub/8"}
    assert service_watch.step(opened, Console(quiet=True)).reasons == ("Pub/Sub asked for a run: June is back",)
    assert service_watch.take(opened, [message]) == {}, "it comes again"
    assert not service_watch.step(opened, Console(quiet=True)).fire
    (run,) = runs.active(name, name)
    (claim,) = service_history.read(opened.state).claims
    assert (claim.run, claim.keys) == (run.id, ("manual:pubsub/7",))


def test_a_version_is_a_package_and_its_settings_under_the_commit(service, bucket, tmp_path):
    done = put(service, of(doubling, tmp_path, "first", number=2))
    folder = f"models/pipelines/first/{COMMIT}"
    assert done.version_id == f"gs://acme-ct/{folder}/package.yaml"
    account = json.loads(bucket.blob(f"{folder}/settings.json").download_as_bytes())
    assert (account["commit"], account["settings"], account["parameters"]) == (COMMIT, "prod", {"number": 2})
    generations = {blob.name: blob.generation for blob in bucket.list_blobs(prefix=folder)}
    again = put(service, of(doubling, tmp_path, "first", number=2))
    assert (again.created_version, again.version_id) == (False, done.version_id)
    assert {blob.name: blob.generation for blob in bucket.list_blobs(prefix=folder)} == generations
    with pytest.raises(UsageError, match="of other content"):
        put(service, of(waiting, tmp_path, "first"))


def test_a_run_is_a_pipeline_job_with_all_that_the_settings_say(service, listener, tmp_path):
    wanted_ = of(doubling, tmp_path, "runs", number=21)
    done = put(service, wanted_)
    lines = []
    deploy.start(service, wanted_, done, lines.append, progress.Waiting(60, 0.1))
    assert done.run_state == "SUCCEEDED"
    assert lines[1:] == ["run: RUNNING", "ingest: RUNNING", "run: SUCCEEDED", "ingest: SUCCEEDED"]
    method, path, query, body = listener.requests[0]
    assert (method, path) == ("POST", f"{PARENT}/pipelineJobs")
    assert query["pipelineJobId"].startswith("runs-")
    assert body["serviceAccount"] == "runner@acme.iam.gserviceaccount.com"
    assert body["network"] == "projects/1/global/networks/vpc"
    assert body["encryptionSpec"] == {"kmsKeyName": KEY}
    assert body["labels"]["team"] == "air"
    assert body["labels"]["commit"] == COMMIT
    assert body["runtimeConfig"]["parameterValues"] == {"number": 21}
    tasks = body["pipelineSpec"]["root"]["dag"]["tasks"].values()
    assert all(not task.get("cachingOptions", {}).get("enableCache") for task in tasks)


def test_a_job_that_ends_otherwise_is_a_failure(service, listener, tmp_path):
    listener.states = ["PIPELINE_STATE_CANCELLED"]
    wanted_ = of(doubling, tmp_path, "cancelled", number=1)
    with pytest.raises(RunFailedError, match="CANCELED"):
        deploy.start(service, wanted_, put(service, wanted_), lambda line: None, progress.Waiting(60, 0.1))


def test_what_google_refuses_is_said(service, listener):
    with pytest.raises(TargetError, match="not found"):
        service.look("projects/acme/locations/europe-west1/pipelineJobs/gone")


class Small:
    """A project with one schedule on Vertex AI."""

    def __init__(self, root, service):
        self.workspace = workspace.Workspace(root, root / ".ct")
        self.folder = root / "pipelines" / "small"
        (self.folder / "settings").mkdir(parents=True)
        content = {"pipeline": "pipelines.doubling", "parameters": {"number": 3}}
        (self.folder / "settings" / "prod.yaml").write_text(yaml.safe_dump(content))
        self.service, self.schedules = service, VertexSchedules(service, "small")

    def apply(self, **fields):
        entry = {"name": "often", "pipeline": "doubling", **fields}
        (self.folder / "schedules.yaml").write_text(yaml.safe_dump({"schedules": [entry] if fields else []}))
        wants = wanted.desired(self.workspace, "small", ScheduleTarget(self.service, "vertex", "prod"))
        actions = plan.plan(wants, self.schedules.actual())
        apply.apply(self.schedules, actions, lambda line: None)
        return [each.kind for each in actions]


def test_a_schedule_is_created_changed_in_place_paused_resumed_and_deleted(service, listener, tmp_path):
    small = Small(tmp_path, service)
    put(service, of(doubling, tmp_path, "small-doubling"))
    weekly = {"cron": "0 7 * * 1", "time_zone": "America/New_York"}
    assert small.apply(**weekly) == [plan.CREATE]
    body = next(body for method, path, _, body in listener.requests if f"{method} {path}" == f"POST {PARENT}/schedules")
    assert body["cron"] == "TZ=America/New_York 0 7 * * 1"
    job = body["createPipelineJobRequest"]["pipelineJob"]
    assert job["serviceAccount"] == "runner@acme.iam.gserviceaccount.com"
    assert job["labels"]["commit"] == COMMIT
    assert small.apply(**weekly) == [plan.LEAVE]

    listener.requests.clear()
    put(service, of(doubling, tmp_path, "small-doubling", OTHER))
    assert small.apply(**weekly) == [plan.REPLACE]
    assert listener.writes() == [f"PATCH {PARENT}/schedules/1"]
    _, _, query, body = next(each for each in listener.requests if each[0] == "PATCH")
    assert "createPipelineJobRequest" in query["updateMask"]
    assert body["createPipelineJobRequest"]["pipelineJob"]["labels"]["commit"] == OTHER

    assert small.apply(**weekly, enabled=False) == [plan.DISABLE]
    assert small.apply(**weekly) == [plan.ENABLE]
    assert small.apply() == [plan.DELETE]
    assert listener.writes()[1:] == [
        f"POST {PARENT}/schedules/1:pause", f"PATCH {PARENT}/schedules/1", f"POST {PARENT}/schedules/1:resume",
        f"DELETE {PARENT}/schedules/1",
    ]  # fmt: skip
    assert listener.resources == {}


@pytest.mark.parametrize(("cron", "interval"), [("", 60), ("30 0 7 * * *", 0)], ids=["interval", "seconds"])
def test_what_vertex_cannot_fire_by_is_refused(cron, interval):
    with pytest.raises(UsageError, match="whole minutes"):
        expression(cron, "UTC", interval, "schedule often")


def test_labels_are_what_google_takes():
    assert label("Weekly Über_1!" + "x" * 80) == "weekly--ber-1-" + "x" * 49
