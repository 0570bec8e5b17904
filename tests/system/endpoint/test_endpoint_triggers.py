"""What is sent to the endpoint by HTTP starts a run there, once, and the run says why."""

import httpx
import pytest

from ct_command import ct
from kfp_ct.watch import history, observations
from local_endpoint import ended, running, until
from watched_projects import make

ASK = [{"name": "ask", "kind": "on_demand"}, {"name": "nightly", "kind": "schedule", "job": "nightly"}]
SCHEDULER = {"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "nightly",
             "X-CloudScheduler-ScheduleTime": "2026-11-25T03:00:00Z"}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The flights project, whose data is not there: its runs begin, and end soon."""
    return make(tmp_path_factory.mktemp("project"), "in/*.csv", ASK)


@pytest.fixture(scope="module")
def endpoint(workspace):
    with running(workspace.home, root=workspace.root) as started:
        yield started


def send(endpoint, project="flights", **request):
    url = f"{endpoint.url}/apis/ct/v1/projects/{project}/triggers"
    return httpx.post(url, trust_env=False, timeout=120, **request)


@pytest.mark.slow
def test_a_request_starts_one_run_that_says_why(endpoint, workspace):
    request = {"json": {"cause": "June is back", "by": "ada"}, "headers": {"Idempotency-Key": "k"}}
    first = send(endpoint, **request)

    assert first.status_code == 202, first.text
    said = first.json()
    assert (said["decision"], said["reasons"]) == ("fire", ["ada asked for a run: June is back"])
    assert send(endpoint, **request).json() == said
    assert [run.run_id for run in endpoint.client().list_runs().runs] == [said["run"]]

    held = send(endpoint, headers=SCHEDULER)
    assert (held.status_code, held.json()["reasons"]) == (200, [f"the run {said['run']} is in progress"])

    assert ended(endpoint.client(), said["run"]).state == "FAILED"
    entry = history.read(history.path_of(workspace.home, "flights"))[0]
    assert (entry.firing.run, entry.firing.state) == (said["run"], observations.FAILED)
    why = ct(workspace.home, "why", said["run"]).out
    assert "ask: ada asked for a run: June is back" in why
    assert "from the message HTTP http/k" in why
    record = (workspace.runs / said["run"] / "run.json").read_text()
    assert '"triggers": [\n   "ask"\n  ]' in record
    assert '"cause": "ask: ada asked for a run: June is back"' in record

    # What was held begins by itself, now that nothing is going on.
    found = until(lambda: [e for e in history.read(history.path_of(workspace.home, "flights"))[1:] if e.firing.run])
    assert [each.reasons for each in found] == [("the job nightly fired at 2026-11-25 03:00 UTC",)]
    assert ended(endpoint.client(), found[0].firing.run).state == "FAILED"


def test_what_cannot_start_a_run_says_so(endpoint):
    assert send(endpoint, content=b"not JSON").status_code == 400
    assert send(endpoint, json={"nothing": 1}).status_code == 400
    missing = send(endpoint, "trains", json={"cause": "x"})
    assert (missing.status_code, missing.json()) == (404, {"error": "there is no project 'trains'"})


def test_a_page_of_another_site_starts_nothing(endpoint):
    assert send(endpoint, json={"cause": "x"}, headers={"Origin": "http://elsewhere.example"}).status_code == 403
