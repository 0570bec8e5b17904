"""The request log of the service as a process: what callers get, what is on disk when it has stopped."""

import concurrent.futures
import datetime
import json
import signal
import subprocess
import sys
import uuid

import httpx
import pyarrow.parquet as pq
import pytest

from kfp_ct.components.monitor import labels, request_log
from kfp_ct.serving.__main__ import main
from kfp_ct.serving.request_files import METADATA
from prediction_server import Server
from repository import ROOT
from saved_models import save

ROW = {"carrier": "AA", "hour": 6, "distance": 1.5}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("logged")
    save(root / "flights" / "3", 1)
    return root


def rows(folder):
    files = sorted(folder.glob("*/*/*.parquet"))
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def test_what_was_asked_is_on_disk_when_the_service_was_told_to_stop(models, tmp_path):
    server = Server(models, "--request-log", str(tmp_path))
    given = server.client.post(
        "/v1/models/flights:predict", json={"instances": [ROW, {"hour": 3}]}, headers={"X-Request-Id": "mine"}
    )
    made = server.predict({"inputs": {"carrier": ["AA"], "hour": [7], "distance": [[2.5]]}})
    echoed = server.predict({"signature_name": "echo", "instances": [ROW]})
    refused = server.predict({"instances": [{"hour": 99}]})
    malformed = server.client.get("/v1/models/flights", headers={"X-Request-Id": "not one word"})
    code = server.stop()

    assert code in (0, -signal.SIGTERM)
    assert given.headers["x-request-id"] == "mine"
    for answer in (made, echoed, refused, malformed):
        uuid.UUID(answer.headers["x-request-id"])
    found = rows(tmp_path)
    asked = [row for row in found if row["request_id"] in ("mine", made.headers["x-request-id"])]
    assert [(row["row"], row["inputs"]) for row in asked] == [
        (0, {"carrier": "AA", "hour": 6, "distance": 1.5}),
        (1, {"carrier": None, "hour": 3, "distance": None}),
        (0, {"carrier": "AA", "hour": 7, "distance": 2.5}),
    ]
    assert [row["outputs"] for row in asked] == [{"probability": 1.0}] * 3
    assert all(row["latency_ms"] > 0 for row in found)
    said = [json.loads(pq.read_schema(path).metadata[METADATA]) for path in sorted(tmp_path.glob("flights/3/*"))]
    assert {each["signature"] for each in said} == {"serving_default", "echo"}
    assert sum(each["requests"] for each in said) == 4
    assert [each["errors"] for each in said if each["errors"]] == [{"400": 1}]


def test_labels_that_come_later_meet_the_answer_that_was_given_also_where_requests_share_a_batch(models, tmp_path):
    begun = datetime.datetime.now(datetime.UTC)
    server = Server(models, "--request-log", str(tmp_path / "log"), "--request-log-rows", "50")

    def ask(number):
        distances = [number + row / 4 for row in range(1 + number % 3)]
        body = {"signature_name": "echo", "instances": [{**ROW, "distance": each} for each in distances]}
        answer = server.client.post(
            "/v1/models/flights:predict", json=body, headers={"X-Request-Id": f"request-{number}"}
        )
        given = answer.json()["predictions"]
        return [(f"request-{number}", row, *each["distance"]) for row, each in enumerate(given)]

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        answered = [row for rows in clients.map(ask, range(200)) for row in rows]
    server.stop()
    source = tmp_path / "labels.csv"
    source.write_text("request_id,row,label\n" + "".join(f"{id},{row},{given}\n" for id, row, given in answered))
    period = request_log.Period(begun, datetime.datetime.now(datetime.UTC))
    traffic = request_log.read(str(tmp_path / "log"), "flights", "3", period, (1_000, "echo"))
    joined = labels.join(traffic.rows, str(source)).rows

    assert len(answered) == len(joined) == 399
    assert [row["outputs"]["distance"] for row in joined.to_pylist()] == joined["label"].to_pylist()


def test_it_is_flushed_when_standard_input_ends(models, tmp_path):
    command = [sys.executable, "-m", "kfp_ct.serving", "--root", str(models), "--port", "0", "--until-stdin-closes"]
    process = subprocess.Popen(
        [*command, "--request-log", str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    url = json.loads(process.stdout.readline())["url"]
    with httpx.Client(trust_env=False) as client:
        assert client.post(f"{url}/v1/models/flights:predict", json={"instances": [ROW]}).status_code == 200
    process.stdin.close()

    assert process.wait(120) == 0
    process.stdout.close()
    assert len(rows(tmp_path)) == 1


def test_a_log_that_cannot_be_written_fails_no_reply(models, tmp_path):
    (tmp_path / "log").write_text("a file where the folder should be")
    server = Server(models, "--request-log", str(tmp_path / "log"), "--request-log-rows", "1")
    try:
        assert [server.predict({"instances": [ROW]}).status_code for _ in range(20)] == [200] * 20
    finally:
        assert server.stop() in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--request-log-sample", "1.5", "not between 0 and 1"),
        ("--request-log-max-mb", "0", "not positive"),
        ("--request-log-rows", "many", "invalid"),
    ],
)
def test_options_that_make_no_sense_are_refused(option, value, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--root", "models", option, value])

    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("real_interpreter")
def test_the_service_needs_nothing_of_the_components():
    code = (
        "import sys; sys.modules['components'] = None\n"
        "import kfp_ct.serving.__main__, kfp_ct.serving.app, kfp_ct.serving.request_log, kfp_ct.serving.saved_model"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
