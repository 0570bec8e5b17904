"""`ct plan` and `ct apply` against the endpoint's own API: the diff, applying it, and nothing left to change."""

import contextlib
import http.client
import json
import urllib.parse

import pytest
import yaml
from kfp import dsl

import recording_proxy
import service_watches
from kfp_ct.base.errors import TargetError, UsageError
from kfp_ct.cli import main
from kfp_ct.deploy import kfp_api, kfp_target
from kfp_ct.package import package
from kfp_ct.planning import summary
from kfp_ct.planning.changes import CREATE, DELETE, UPDATE
from kfp_ct.planning.project_plan import ProjectPlan, Request
from kfp_ct.project import applied
from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import watch
from local_endpoint import compiled, double, doubling

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
FIRST, SECOND = "a" * 40, "b" * 40
PROJECT = "small"


@dsl.pipeline(name="released")
def released(number: int, model_name: str, serving_root: str, serving: dict):
    double(number=number)


class Small:
    """A project with a compiled package, beside the endpoint that serves its repository."""

    def __init__(self, folder, proxy):
        self.workspace, self.proxy = Workspace(folder, folder / "home"), proxy
        self.folder = folder / "pipelines" / PROJECT
        (self.folder / "settings").mkdir(parents=True)
        self.settings(number=3)
        self.package = folder / "package.yaml"
        self.compile(doubling)
        self.write("schedules.yaml", schedules=[{"name": "daily", "cron": "0 4 * * *", "pipeline": "doubling"}])
        self.write("triggers.yaml", triggers=[{"name": "ask", "kind": "on_demand"}])

    def compile(self, pipeline):
        compiled(pipeline, self.package)
        made = package.load_package(self.package)
        made["pipelineInfo"]["name"] = "small-doubling"
        package.write_package(made, self.package)

    def write(self, name, **document):
        (self.folder / name).write_text(yaml.safe_dump(document))

    def settings(self, **parameters):
        self.write("settings/local.yaml", pipeline="pipelines.doubling", parameters=parameters)

    def opened(self, commit):
        return ProjectPlan(self.workspace, Request(PROJECT, "local", self.proxy.url, file=self.package, commit=commit))

    def plan(self, commit):
        return self.opened(commit).plan()

    def apply(self, commit):
        self.opened(commit).apply(lambda line: None)

    def has(self):
        """What the service has: versions, schedules with their version, definitions."""
        service = kfp_target.KfpTarget(kfp_api.connect(self.proxy.url), self.proxy.url)
        client = service.client
        versions = client.list_pipeline_versions(service.pipeline("small-doubling"), page_size=50).pipeline_versions
        recurring = client.list_recurring_runs(page_size=50).recurring_runs or []
        return sorted(each.display_name for each in versions), [
            (each.display_name, each.status, each.pipeline_version_reference.pipeline_version_id) for each in recurring
        ]


@pytest.fixture
def small(tmp_path):
    with service_watches.endpoint(tmp_path) as url, recording_proxy.recording(url) as proxy:
        yield Small(tmp_path, proxy)


def named(plan):
    return [(each.action, each.kind, each.name) for each in plan.changes]


def field(plan, kind, path):
    change = next(each for each in plan.changes if each.kind == kind)
    found = next(each for each in change.fields if each.path == path)
    return found.action, found.old, found.new


def test_a_changed_project_is_planned_applied_and_then_as_it_should_be(small):
    first = small.plan(FIRST)
    assert named(first) == [
        (CREATE, "pipeline", "small-doubling"), (CREATE, "version", "small-doubling"),
        (CREATE, "schedule", "daily"), (CREATE, "triggers", PROJECT),
    ]  # fmt: skip
    assert all(each.method == "GET" for each in small.proxy.exchanges), "a plan changes nothing"
    small.apply(FIRST)
    assert small.plan(FIRST).changes == ()

    small.settings(number=4, note="new")
    small.write("schedules.yaml", schedules=[{"name": "hourly", "interval": "1h", "pipeline": "doubling"}])
    small.write("triggers.yaml", cooldown="2h", triggers=[{"name": "ask", "kind": "on_demand"}])
    changed = small.plan(SECOND)
    assert named(changed) == [
        (UPDATE, "version", "small-doubling"), (UPDATE, "settings", "small-doubling"),
        (CREATE, "schedule", "hourly"), (DELETE, "schedule", "daily"), (UPDATE, "triggers", PROJECT),
    ]  # fmt: skip
    assert field(changed, "version", "version") == (UPDATE, FIRST, SECOND)
    assert field(changed, "settings", "number") == (UPDATE, 3, 4)
    assert field(changed, "settings", "note") == (CREATE, None, "new")
    assert field(changed, "triggers", "cooldown") == (CREATE, None, "2h")
    text = summary.text(changed)
    assert f"      ~ version: {FIRST} -> {SECOND}" in text.splitlines()
    assert "      ~ number: 3 -> 4" in text.splitlines()
    assert text.splitlines()[-1] == "plan: 1 to create, 3 to change, 1 to delete"
    small.apply(SECOND)
    assert small.plan(SECOND).changes == ()
    assert summary.text(small.plan(SECOND)).startswith("nothing to change: local (http://127.0.0.1:")


def test_a_schedule_shows_its_old_and_new_values(small):
    small.apply(FIRST)
    small.settings(number=4)
    small.write("schedules.yaml", schedules=[{"name": "daily", "cron": "0 5 * * *", "pipeline": "doubling"}])
    plan = small.plan(SECOND)
    assert field(plan, "schedule", "cron") == (UPDATE, "0 0 4 * * *", "0 0 5 * * *")
    assert field(plan, "schedule", "version") == (UPDATE, FIRST, SECOND)
    assert field(plan, "schedule", "arguments.number") == (UPDATE, 3, 4)


def test_release_policy_and_served_model_are_changes_of_their_own(small):
    small.compile(released)
    small.settings(number=3, model_name="m", serving_root="s3://b/a", serving={"release": {"max_wait": "1d"}})
    small.apply(FIRST)
    small.settings(number=3, model_name="m", serving_root="s3://b/z", serving={"release": {"max_wait": "2d"}})
    plan = small.plan(SECOND)
    assert field(plan, "release policy", "serving.release.max_wait") == (UPDATE, "1d", "2d")
    assert field(plan, "served model", "serving_root") == (UPDATE, "s3://b/a", "s3://b/z")


@pytest.mark.parametrize("answered", [False, True], ids=["before-the-write", "after-the-write"])
def test_stopped_at_any_write_the_next_apply_finishes(small, answered):
    """Round by round another write of a changed project does not arrive, or its answer does not."""
    small.apply(FIRST)
    versions = [FIRST]
    for place in range(20):
        versions.append(f"{place:x}" * 40)
        small.settings(number=10 + place)
        small.write("triggers.yaml", cooldown=f"{place + 1}h", triggers=[{"name": "ask", "kind": "on_demand"}])
        hit = _apply_with_fault(small, versions[-1], place, answered)
        small.apply(versions[-1])
        assert small.plan(versions[-1]).changes == (), place
        if not hit:
            break
    assert place >= 6, "a version, triggers, and the four writes of a schedule's replacement"
    found, recurring = small.has()
    assert found == sorted(versions)
    assert [(name, state) for name, state, _ in recurring] == [("small-doubling-daily", "ENABLED")]


def test_what_others_made_stays(small):
    small.apply(FIRST)
    service = kfp_target.KfpTarget(kfp_api.connect(small.proxy.url), small.proxy.url)
    pipeline = service.pipeline("small-doubling")
    service.client.create_recurring_run(
        service.experiment("by hand"), "mine", interval_second=60, enabled=False, params={"number": 1},
        pipeline_id=pipeline, version_id=service.latest(pipeline).pipeline_version_id,
    )  # fmt: skip
    (small.folder / "schedules.yaml").unlink()
    (small.folder / "triggers.yaml").unlink()
    assert named(small.plan(FIRST)) == [(DELETE, "schedule", "daily"), (DELETE, "triggers", PROJECT)]
    small.apply(FIRST)
    assert [name for name, *_ in small.has()[1]] == ["mine"]


def test_the_endpoint_obeys_what_was_applied_and_says_that_the_file_differs(small):
    small.apply(FIRST)
    small.write("triggers.yaml", cooldown="9h", triggers=[{"name": "ask", "kind": "on_demand"}])
    assert watch.open_watch(small.workspace, PROJECT).policy.cooldown == "0s"
    assert "differs: see ct plan" in applied.difference(small.workspace, PROJECT, "triggers.yaml")
    small.apply(FIRST)
    assert watch.open_watch(small.workspace, PROJECT).policy.cooldown == "9h"
    assert applied.difference(small.workspace, PROJECT, "triggers.yaml") == ""


def test_what_is_not_valid_is_refused_before_anything_is_written(small):
    small.write("triggers.yaml", cooldwn="2h", triggers=[{"name": "ask", "kind": "on_demand"}])
    with pytest.raises(UsageError, match="did you mean cooldown"):
        small.plan(FIRST)
    answer = small.opened(FIRST).definitions
    with pytest.raises(TargetError, match=r"400 .*does not fit"):
        answer.write("triggers.yaml", "triggers: []")


def test_one_commit_with_other_content_is_refused(small):
    small.apply(FIRST)
    made = package.load_package(small.package)
    made["root"]["inputDefinitions"]["parameters"]["note"]["defaultValue"] = "other"
    package.write_package(made, small.package)
    with pytest.raises(UsageError, match=r"has a version a+ of other content"):
        small.plan(FIRST)


def test_the_commands_show_check_and_apply(small, capsys, monkeypatch):
    monkeypatch.chdir(small.workspace.root)
    monkeypatch.setenv("CT_HOME", str(small.workspace.home))
    where = [PROJECT, "--host", small.proxy.url, "--package", str(small.package), "--commit", FIRST]
    assert main.run(["plan", *where, "--check"]) == 2
    assert "  + schedule daily" in capsys.readouterr().out.splitlines()
    assert main.run(["apply", *where]) == 0
    capsys.readouterr()
    assert main.run(["plan", *where, "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []


def _apply_with_fault(small, commit, place, answered):
    """Applies while the write of a number fails; says whether there was one of that number."""
    passed = []

    def fail(exchange):
        if exchange.method == "GET":
            return None
        passed.append(exchange.line)
        if len(passed) != place + 1:
            return None
        if answered:
            behind = http.client.HTTPConnection(small.proxy.behind)
            headers = {name: value for name, value in exchange.headers.items() if name.lower() != "host"}
            query = urllib.parse.urlencode(exchange.query)
            behind.request(exchange.method, f"{exchange.path}?{query}", exchange.body or None, headers)
            assert behind.getresponse().status == 200
        return 503, b"{}"

    small.proxy.before = fail
    with contextlib.suppress(TargetError):
        small.apply(commit)
    small.proxy.before = lambda exchange: None
    return len(passed) > place
