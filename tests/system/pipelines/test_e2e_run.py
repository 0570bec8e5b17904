"""The whole pipeline on real flights, as a person runs it: bless, serve, refuse, survive."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import repository_copy
import trained_home
from ct_command import SMALL, command_line, ct, run
from ports import free_ports
from repository import ROOT

pytestmark = pytest.mark.slow

STEPS = (
    "resolve-sources", "ingest", "statistics", "schema", "validate-data", "transform", "tune", "resolve-champion",
    "train", "evaluate", "validate-infra", "register", "deploy",
)  # fmt: skip
NEVER_CACHED = {"resolve-champion", "resolve-sources", "register", "deploy"}
FLIGHT = {
    "carrier": "B6", "origin": "JFK", "dest": "BOS", "day_of_week": 4,
    "sched_dep_time": 1755, "sched_arr_time": 1910, "distance": 187.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def home(shared):
    return trained_home.first_run(shared)[0]


@pytest.fixture(scope="module")
def first(shared):
    return trained_home.first_run(shared)[1]


def versions(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "serving" / "flights").iterdir() if path.is_dir())


def test_the_first_run_ends_with_a_blessed_served_model_and_a_report(home, first):
    assert first.code == 0, first.err
    assert set(first.states().values()) == {"SUCCEEDED"}
    assert first.summary("evaluate", "evaluation")["compared_with"] == ""
    assert versions(home) == ["1"]
    folder = home / "runs" / first.record["id"]
    page = (folder / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "could not be drawn" not in page
    assert json.loads((folder / "report.json").read_text())
    assert "BLESSED: version 1 is the champion" in first.err


def test_the_record_says_what_ran_on_what(first):
    record = first.record
    assert record["parameters"]["data_version"]
    assert record["image"].endswith(record["code_version"])
    assert record["parameters"]["lineage"]["run"] == record["id"]
    assert {"python", "kfp", "components"} <= set(record["versions"])
    assert all(task["seconds"] > 0 for task in record["tasks"])
    assert first.task("ingest")["artifacts"]["examples"]["metadata"]["fingerprint"]


def test_nothing_changed_is_served_from_the_cache(home, first):
    again = run(home, *SMALL)
    assert {name for name, state in again.states().items() if state != "CACHED"} == NEVER_CACHED
    assert again.task("register")["parameters"] == first.task("register")["parameters"]
    assert "9 of 13 steps were served from the cache" in again.err
    assert versions(home) == ["1"]


def delete(served: Path) -> None:
    shutil.rmtree(served)


def serve_another_version(served: Path) -> None:
    shutil.copytree(served / "1", served / "7")


@pytest.mark.parametrize("spoil", [delete, serve_another_version])
def test_an_unchanged_run_deploys_again_where_the_champion_is_not_what_is_served(home, first, spoil):
    spoil(home / "serving" / "flights")
    again = run(home, *SMALL)
    assert again.states()["deploy"] == "SUCCEEDED"
    assert versions(home) == ["1"]
    assert (home / "serving" / "flights" / "1" / "saved_model.pb").is_file()


def test_an_edited_model_runs_from_tuning_onward(home, first, tmp_path):
    """In a copy of the repository: what it has in common with this one comes from the cache of the first run."""
    root = repository_copy.make(tmp_path / "copy")
    (root / ".ct").mkdir()
    (root / ".ct" / "data").symlink_to((ROOT / ".ct" / "data").resolve())
    model = root / "pipelines" / "flights" / "model.py"
    model.write_text(model.read_text() + "\nEDITED = True\n")
    # Whatever it learns, the champion stays.
    edited = run(home, *SMALL, "--set", "gates.min_gain=1", root=root)
    assert edited.code == 0, edited.err
    states = edited.states()
    assert {name for name, state in states.items() if state == "CACHED"} == {
        "ingest", "statistics", "schema", "transform",
    }  # fmt: skip
    # Drift is measured against the champion's data, and since the first run there is a champion.
    assert {name for name, state in states.items() if state == "SUCCEEDED"} == {
        "resolve-sources", "resolve-champion", "validate-data", "tune", "train", "evaluate",
    }  # fmt: skip
    why = json.loads(ct(home, "why-not-cached", edited.record["id"], "train", "--json").out)["steps"][0]
    assert [reason["text"] for reason in why["reasons"]] == ["module pipelines/flights/model.py changed"]
    report = (home / "runs" / edited.record["id"] / "report.html").read_text()
    assert "module pipelines/flights/model.py changed" in report


def test_a_worse_challenger_is_refused_and_the_champion_stays(home, first):
    worse = run(home, *SMALL, "--set", "hyperparameters.shuffle_labels=true")
    assert worse.code == 0
    verdict = worse.summary("evaluate", "evaluation")
    assert verdict["blessed"] is False
    assert verdict["compared_with"] == "1"
    reasons = [check["reason"] for check in verdict["checks"] if not check["passed"]]
    assert any("champion v1" in reason for reason in reasons)
    assert worse.states()["register"] == worse.states()["deploy"] == "SKIPPED"
    assert "NOT BLESSED: the champion stays (version 1)" in worse.err
    assert versions(home) == ["1"]


def test_killed_in_any_step_the_next_run_finishes_while_the_served_model_answers(home, first):
    arguments = (
        "--window-end",
        "2013-06-01",
        *SMALL[2:],
        "--set",
        "gates.min_gain=-1",
        "--set",
        "gates.max_slice_loss=1",
    )
    with serving(home) as url, asking(url) as answers:
        for step in STEPS:
            kill_in(home, step, arguments)
        done = run(home, *arguments)
        wait_for(lambda: answers.versions >= {"1", "2"} or available(url) == ["2"])
    assert done.code == 0, done.err
    assert {name for name, state in done.states().items() if state == "SUCCEEDED"} <= NEVER_CACHED | {
        "evaluate",
        "validate-infra",
    }
    assert versions(home) == ["1", "2"]
    assert answers.count > 20
    assert answers.failures == []


def test_a_search_hands_the_best_trials_values_to_training(home):
    tuning = "tuning={trials: 2, epochs: 1, rows: 4000, parallel: 2}"
    done = run(home, *SMALL, "--set", tuning, "--set", "hyperparameters.dropout=0.1")
    assert done.code == 0, done.err
    found = done.summary("tune", "trials")
    assert [trial["status"] for trial in found["trials"]] == ["COMPLETED"] * 2
    given = done.task("tune")["parameters"]["hyperparameters"]
    assert given["learning_rate"] == found["values"]["learning_rate"]
    assert set(found["values"]) == {"learning_rate", "embedding"}
    assert (given["dropout"], given["epochs"]) == (0.1, 2)


def test_every_run_is_listed(home, first):
    listed = json.loads(ct(home, "runs", "--json").out)
    assert first.record["id"] in [record["id"] for record in listed]
    assert {"INTERRUPTED", "SUCCEEDED"} <= {record["state"] for record in listed}


def kill_in(home: Path, step: str, arguments: tuple[str, ...]) -> None:
    """Starts a run and kills it with SIGKILL once the step runs."""
    before = set((home / "runs").iterdir())
    environment = {**os.environ, "CT_HOME": str(home)}
    command = command_line("run", "flights", *arguments)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    read = None

    def running():
        nonlocal read
        assert process.poll() is None, f"the run ended before {step}"
        for folder in set((home / "runs").iterdir()) - before:
            # It is replaced, never written into: the same file is read once.
            written = file_number(folder / "run.json")
            if written is not None and written != read:
                tasks = json.loads((folder / "run.json").read_text())["tasks"]
                read = written
                return any(task["name"] == step and task["state"] == "RUNNING" for task in tasks)
        return False

    wait_for(running, 300, 0.002)
    process.kill()
    process.wait()


def file_number(path: Path) -> tuple[int, int] | None:
    """Says which file a path names, and when it was written; None for none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


class Answers:
    """What a client that never stops asking got."""

    def __init__(self):
        self.count, self.failures, self.versions, self.stop = 0, [], set(), False

    def ask(self, url):
        while not self.stop:
            try:
                answer = post(f"{url}:predict", {"instances": [FLIGHT]})
                assert 0 <= answer["predictions"][0][0] <= 1 if isinstance(answer["predictions"][0], list) else True
                self.count += 1
            except (OSError, AssertionError, KeyError) as error:
                self.failures.append(repr(error))
            time.sleep(0.1)


class asking:
    def __init__(self, url):
        self.answers = Answers()
        self.thread = threading.Thread(target=self.answers.ask, args=(url,))

    def __enter__(self):
        self.thread.start()
        return self.answers

    def __exit__(self, *_):
        self.answers.stop = True
        self.thread.join()


class serving:
    """`ct serve`, as a person starts it."""

    def __init__(self, home):
        (port,) = free_ports()
        self.url = f"http://127.0.0.1:{port}/v1/models/flights"
        command = command_line("serve", "--port", str(port))
        self.process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "CT_HOME": str(home)})

    def __enter__(self):
        wait_for(lambda: available(self.url) == ["1"])
        return self.url

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)


def available(url: str) -> list[str]:
    try:
        with urllib.request.urlopen(url) as response:
            states = json.load(response)["model_version_status"]
    except (urllib.error.URLError, ConnectionError):
        return []
    return [state["version"] for state in states if state["state"] == "AVAILABLE"]


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def wait_for(condition, seconds=120, pause=0.1):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
