"""Schedules through the official client on the real endpoint: what is asked, in which order, what is there then."""

import datetime
import itertools
import json
from pathlib import Path

import pytest
import yaml

import cli_runner
import local_endpoint
import recording_proxy
from ct_command import ct
from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.deploy import deploy, kfp_api, kfp_target, version
from kfp_ct.deploy.schedules import apply, plan, wanted
from kfp_ct.deploy.schedules.kfp_schedules import KfpSchedules
from kfp_ct.deploy.schedules.wanted import ScheduleTarget
from kfp_ct.package import package
from kfp_ct.project import settings, workspace
from local_endpoint import compiled, doubling, until, waiting

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
API = "/apis/v2beta1"
COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with local_endpoint.running(home) as endpoint, recording_proxy.recording(endpoint.url) as proxy:
        yield proxy


class Small:
    """A project of its own, with the pipeline `doubling`, on the endpoint behind the proxy."""

    def __init__(self, root, proxy, name):
        self.workspace = workspace.Workspace(root, root / ".ct")
        self.proxy, self.name = proxy, name
        self.folder = root / "pipelines" / name
        (self.folder / "settings").mkdir(parents=True)
        (self.folder / "settings" / "local.yaml").write_text(
            yaml.safe_dump({"pipeline": "pipelines.doubling", "parameters": {"number": 3}})
        )
        self.service = kfp_target.KfpTarget(kfp_api.connect(proxy.url), proxy.url)
        self.schedules = KfpSchedules(self.service, name, f"{name}-doubling", settle=2.0)
        self.place = ScheduleTarget(self.service, "local", "local")

    def write(self, **fields):
        entry = {"name": "often", "pipeline": "doubling", **fields}
        (self.folder / "schedules.yaml").write_text(yaml.safe_dump({"schedules": [entry] if fields else []}))

    def deploy(self, commit):
        path = self.workspace.root / "package.yaml"
        compiled(doubling, path)
        made = package.load_package(path)
        made["pipelineInfo"]["name"] = f"{self.name}-doubling"
        chosen = settings.load(self.workspace, self.name, "local", {})
        return deploy.deploy(self.service, version.of_package(made, chosen, commit), "small", lambda line: None)

    def plan(self):
        return plan.plan(wanted.desired(self.workspace, self.name, self.place), self.schedules.actual())

    def apply(self):
        actions = self.plan()
        self.proxy.forget()
        apply.apply(self.schedules, actions, lambda line: None)
        return [each.kind for each in actions]

    def due(self):
        found = self.service.client.list_runs(page_size=100, sort_by="created_at desc").runs or []
        mine = [run for run in found if run.display_name.startswith(f"{self.name}-")]
        return [(run.scheduled_at, run.pipeline_version_reference.pipeline_version_id) for run in mine]


@pytest.fixture
def small(tmp_path, proxy, request):
    made = Small(tmp_path, proxy, f"s{abs(hash(request.node.name)) % 10**8}")
    made.deploy(COMMIT)
    yield made
    made.write()
    made.apply()


def test_a_schedule_is_made_as_a_recurring_run(small):
    small.write(cron="0 4 * * *", max_concurrency=2)
    assert small.apply() == [plan.CREATE]
    made = next(each for each in small.proxy.exchanges if each.path.endswith("/recurringruns"))
    body = made.json
    assert body["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert (body["mode"], body["max_concurrency"], body["no_catchup"]) == ("ENABLE", 2, True)
    assert body["runtime_config"]["parameters"] == {"number": 3}
    assert version.read(body["description"])["schedule"] == "often"
    assert small.apply() == [plan.LEAVE]
    assert small.proxy.exchanges == []


def test_a_new_version_replaces_it_in_an_order_that_loses_nothing(small):
    small.write(cron="0 4 * * *")
    small.apply()
    old = small.schedules.actual()[0]
    newer = small.deploy(OTHER)
    assert small.apply() == [plan.REPLACE]
    runs = f"{API}/recurringruns"
    new = small.schedules.actual()[0]
    assert [line for line in small.proxy.writes() if "experiments" not in line] == [
        f"POST {runs}", f"POST {runs}/{old.id}:disable", f"POST {runs}/{new.id}:enable", f"DELETE {runs}/{old.id}",
    ]  # fmt: skip
    body = next(each for each in small.proxy.exchanges if each.line == f"POST {runs}").json
    assert body["mode"] == "DISABLE"
    assert body["pipeline_version_reference"]["pipeline_version_id"] == newer.version_id
    assert body["trigger"]["cron_schedule"]["start_time"] == f"{old.start:%Y-%m-%dT%H:%M:%SZ}"
    assert small.apply() == [plan.LEAVE]


@pytest.mark.parametrize("failing", range(4), ids=["create", "disable", "enable", "delete"])
def test_a_replacement_that_fails_anywhere_is_finished_the_next_time(small, failing):
    small.write(cron="0 4 * * *")
    small.apply()
    newer = small.deploy(OTHER)
    passed = []

    def fail(exchange):
        if exchange.method == "GET" or "recurringruns" not in exchange.path:
            return None
        passed.append(exchange.line)
        return (503, b"{}") if len(passed) > failing else None

    small.proxy.before = fail
    with pytest.raises(TargetError, match="503"):
        small.apply()
    small.proxy.before = lambda exchange: None
    assert len(passed) == failing + 1
    assert small.apply() == [plan.REPLACE if failing < 2 else plan.RESUME]
    assert small.apply() == [plan.LEAVE]
    assert [each.version for each in small.schedules.actual()] == [OTHER]
    pinned = small.service.client.list_recurring_runs(page_size=100).recurring_runs
    mine = [each for each in pinned if each.display_name.startswith(small.name)]
    assert [each.pipeline_version_reference.pipeline_version_id for each in mine] == [newer.version_id]


def test_it_fires_through_a_replacement_once_a_time(small):
    small.write(cron="*/5 * * * * *", catch_up=True, max_concurrency=10)
    small.apply()
    until(lambda: len(small.due()) >= 1)
    newer = small.deploy(OTHER)
    small.apply()
    until(lambda: len({when for when, of in small.due() if of == newer.version_id}) >= 2)
    small.write()
    small.apply()
    due = sorted(when for when, _ in small.due())
    steps = {after - before for before, after in itertools.pairwise(due)}
    assert steps == {datetime.timedelta(seconds=5)}  # none twice, none missing


def test_schedules_of_others_are_left_alone(small):
    small.write(interval="1h")
    small.apply()
    client = small.service.client
    by_hand = client.create_recurring_run(
        small.service.experiment("by hand"), "mine", interval_second=60, enabled=False, params={"number": 1},
        pipeline_id=small.service.pipeline(f"{small.name}-doubling"),
        version_id=small.service.latest(small.service.pipeline(f"{small.name}-doubling")).pipeline_version_id,
    )  # fmt: skip
    small.write()
    assert small.apply() == [plan.DELETE]
    assert client.get_recurring_run(by_hand.recurring_run_id).display_name == "mine"
    client.delete_recurring_run(by_hand.recurring_run_id)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"cron": "0 4 * * *", "version": "c" * 40}, "has no version", id="no-such-version"),
        pytest.param(
            {"cron": "0 4 * * *", "parameters": {"numbr": 1}},
            r"did you mean number.* \((pipelines/\w+/schedules\.yaml, schedule often)\)\n(?:.*\n)*fix: edit \1$",
            id="parameter",
        ),
        pytest.param(
            {"cron": "0 4 * * *", "window": "last 2 days"},
            r"window_start: .* \(pipelines/\w+/schedules\.yaml, schedule often\)",
            id="window",
        ),
        pytest.param(
            {"cron": "0 4 * * *", "pipeline": "training"},
            "it is of the pipeline training, .*\nfix: .* settings: those",
            id="pipeline",
        ),
        pytest.param(
            {"cron": "0 4 * * *", "pipeline": "training", "settings": "local"},
            r"fix: in schedules\.yaml, write pipeline: doubling, or settings of training",
            id="settings-of-another",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_asked(small, fields, said):
    small.write(**fields)
    small.proxy.forget()
    with pytest.raises(UsageError, match=said):
        small.apply()
    assert small.proxy.writes() == []


def test_schedules_follow_a_run_that_succeeds_and_no_other(small, tmp_path):
    """The run fails at once: its folder is not there."""
    made = package.load_package(Path(compiled(waiting, tmp_path / "waiting.yaml")))
    made["pipelineInfo"]["name"] = f"{small.name}-waiting"
    package.write_package(made, tmp_path / "waiting.yaml")
    text = yaml.safe_dump({"pipeline": "pipelines.waiting", "parameters": {"folder": "/nowhere"}})
    (small.folder / "settings" / "local.yaml").write_text(text)
    small.write(pipeline="waiting", interval="1h")
    deploy = ("deploy", small.name, "--host", small.proxy.url, "--package", str(tmp_path / "waiting.yaml"))

    failed = cli_runner.ct(tmp_path, *deploy, "--commit", COMMIT, "--wait", cwd=small.workspace.root)
    assert failed.code == 4, failed.err
    assert "the schedules stay as they were; `ct schedule apply` brings them" in failed.out
    assert small.schedules.actual() == []
    done = cli_runner.ct(tmp_path, *deploy, "--commit", COMMIT, "--run", cwd=small.workspace.root)
    assert done.code == 0, done.err
    (made,) = small.schedules.actual()
    assert (made.name, made.version) == ("often", COMMIT)
    assert done.out.index("run ") < done.out.index("often"), "the run is begun first"


def test_a_pinned_version_stays(small):
    small.write(interval="1h", version=COMMIT)
    small.apply()
    small.deploy(OTHER)
    assert small.apply() == [plan.LEAVE]


def test_the_command_plans_applies_checks_and_deploys(proxy, tmp_path):
    where = ("flights", "--host", proxy.url)
    assert ct(tmp_path, "schedule", "plan", *where).code == 2  # not deployed
    done = ct(tmp_path, "deploy", *where, "--commit", COMMIT, "--json")
    assert done.code == 0, done.err
    assert [each["action"] for each in done.record["schedules"]] == ["create"]
    assert ct(tmp_path, "schedule", "check", *where).code == 0
    listed = ct(tmp_path, "schedule", "list", *where)
    assert "weekly: 0 0 7 * * 1, enabled" in listed.out
    service = kfp_target.KfpTarget(kfp_api.connect(proxy.url), proxy.url)
    found = KfpSchedules(service, "flights", "flights-training", 1.0)
    found.enable(found.actual()[0], False)
    drift = ct(tmp_path, "schedule", "check", *where, "--json")
    assert (drift.code, json.loads(drift.out)[0]["action"]) == (1, "enable")
    again = ct(tmp_path, "schedule", "apply", *where)
    assert again.code == 0, again.err
    assert ct(tmp_path, "schedule", "check", *where).code == 0
