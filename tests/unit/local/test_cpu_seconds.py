"""What `make test` counts as the CPU seconds of a test has its tasks in it, each once."""

import json
import os
import resource

import pytest

import cpu_seconds
import warm_python
from kfp_ct.local import zygote


def test_what_tasks_noted_is_counted_once(monkeypatch, tmp_path):
    usage = tmp_path / "usage.jsonl"
    monkeypatch.setenv(warm_python.USAGE, str(usage))
    monkeypatch.setenv(zygote.COSTS_VARIABLE, "")
    cpu_seconds.ask_tasks()
    used = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(2):
        zygote._note_costs("train", used)
    (noted,) = tmp_path.glob("usage.jsonl.tasks-*")
    assert cpu_seconds.of_tasks(noted) == pytest.approx(2 * (used.ru_utime + used.ru_stime))
    zygote._note_costs("train", used)
    cpu_seconds.note("test_a", cpu_seconds.taken())
    assert json.loads(usage.read_text())["seconds"] == pytest.approx(used.ru_utime + used.ru_stime, abs=0.5)
    assert cpu_seconds.of_tasks(noted) == 0


def test_nothing_is_noted_that_nobody_asks_for(monkeypatch):
    monkeypatch.delenv(warm_python.USAGE, raising=False)
    monkeypatch.setenv(zygote.COSTS_VARIABLE, "theirs")
    cpu_seconds.ask_tasks()
    assert cpu_seconds.TASKS == zygote.COSTS_VARIABLE
    assert os.environ[cpu_seconds.TASKS] == "theirs"
