"""The load test: a steady rate whatever is answered, budgets that say no, requests that were recorded."""

import json
import threading
import time

import pyarrow as pa
import pyarrow.parquet
import pytest

from answering_model import serving
from cli_runner import ct
from kfp_ct.base.errors import UsageError
from kfp_ct.releasing import load_test, recorded_requests
from kfp_ct.releasing.load_test import Plan
from repository import ROOT

BODIES = [b'{"instances": [{"hour": 1}]}', b'{"instances": [{"hour": 2}, {"hour": 3}]}']


def well(number, asked):
    return 200, [0.5] * len(asked), 0.0


def test_a_service_that_answers_bears_the_rate_and_gets_all_requests_in_turn():
    with serving(well) as (address, seen):
        found = load_test.run(address, BODIES, Plan(40, 0.5, p99_ms=5_000, warm_up=1), {"Authorization": "Bearer t"})
    assert (found.sent, found.answered, found.problems) == (20, 20, ())
    assert len(seen) == 21
    assert {path for path, *_ in seen} == {"/v1/models/flights:predict"}
    assert [len(asked) for _, asked, _ in seen[1:]].count(2) == 10
    assert {token for *_, token in seen} == {"Bearer t"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            lambda n, asked: (500 if n % 4 == 0 else 200, [0.5] * len(asked), 0),
            "5 of 20 requests failed, at most 0.00%",
        ),
        (lambda n, asked: (200, [0.5], 0), "missing or not finite"),
        (lambda n, asked: (200, [float("nan")] * len(asked), 0), "20 of 20 requests failed"),
        (lambda n, asked: (200, [None] * len(asked), 0), "20 of 20 requests failed"),
        (lambda n, asked: (200, [0.5] * len(asked), 0.3), "latency p99"),
    ],
    ids=["errors", "too few", "NaN", "null", "slow"],
)
def test_what_is_not_kept_says_no(answer, said):
    with serving(answer) as (address, _):
        found = load_test.run(address, BODIES, Plan(40, 0.5, p99_ms=250, warm_up=0), {})
    assert any(said in each for each in found.problems), found
    kept = json.loads(load_test.as_json(found, Plan(40, 0.5)))["outcome"]
    assert sum(kept["errors"].values()) == found.sent - found.answered


def test_a_service_that_does_one_at_a_time_cannot_hide_that_by_being_asked_less():
    one = threading.Lock()

    def slow(number, asked):
        with one:
            time.sleep(0.2)  # five a second
        return well(number, asked)

    with serving(slow) as (address, _):
        found = load_test.run(address, BODIES, Plan(40, 0.25, p50_ms=250, warm_up=0), {})
    assert found.qps < 30
    assert "requests a second were answered, 40 wanted" in found.problems[0]
    assert "median" in found.problems[1]


def test_a_share_of_failures_may_be_allowed_and_nobody_there_is_none():
    with serving(lambda n, asked: (500 if n == 3 else 200, [0.5] * len(asked), 0)) as (address, _):
        assert not load_test.run(address, BODIES, Plan(40, 0.5, max_errors=0.1, warm_up=0), {}).problems
    gone = load_test.run(address, BODIES, Plan(20, 0.2, warm_up=1), {})
    assert (gone.answered, list(gone.errors)) == (0, ["ConnectionError"])
    assert "0 requests a second" in gone.problems[1]


def test_requests_come_from_lines_and_from_a_log(tmp_path):
    lines = tmp_path / "requests.jsonl"
    lines.write_text('{"instances": [{"a": 1}]}\n\n{"a": 2}\n')
    assert recorded_requests.read(str(lines)) == [b'{"instances": [{"a": 1}]}', b'{"instances": [{"a": 2}]}']
    log = tmp_path / "log/flights/3"
    log.mkdir(parents=True)
    rows = [{"a": 1, "b": b"\xff", "c": None}, {"a": 2, "b": b"x", "c": float("nan")}, {"a": 3, "b": None, "c": 0.5}]
    table = pa.table({"request_id": ["r", "r", "s"], "inputs": rows})
    pyarrow.parquet.write_table(table, log / "1.parquet")
    first, second = map(json.loads, recorded_requests.read(str(tmp_path / "log")))
    assert first["instances"] == [{"a": 1, "b": {"b64": "/w=="}}, {"a": 2, "b": {"b64": "eA=="}, "c": None}]
    assert second["instances"] == [{"a": 3, "c": 0.5}]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.jsonl", "\n", "holds no request"),
        ("bad.jsonl", "{", r"bad\.jsonl:1 is no JSON"),
        ("empty.jsonl", '{"instances": []}', "asks for nothing"),
        ("gone", None, "holds no request"),
    ],
)
def test_what_is_no_request_is_refused(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        recorded_requests.read(str(tmp_path / name))


def test_the_command_says_no_by_its_code_and_writes_what_it_measured(tmp_path):
    requests = str(ROOT / "pipelines/flights/requests.jsonl")
    options = ("--requests", requests, "--qps", "20", "--seconds", "0.2", "--output", str(tmp_path / "load.json"))
    with serving(well) as (address, _):
        done = ct(tmp_path, "load-test", address, *options)
        assert (done.code, "it bears 20 requests a second" in done.out) == (0, True)
        done = ct(tmp_path, "load-test", address, *options, "--p99", "0.01")
        assert (done.code, "no: latency p99" in done.out) == (4, True)
    assert json.loads((tmp_path / "load.json").read_text())["outcome"]["problems"]
    done = ct(tmp_path, "load-test", "", *options)
    assert (done.code, "nothing is driven" in done.out) == (0, True)
    assert ct(tmp_path, "load-test", "localhost:8501", *options).code == 2
