"""Several workers behind one port are one service: its counts, its end, its keys, and a worker that dies."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from prediction_server import Server
from saved_models import save

BODY = {"instances": [{"carrier": "AA", "hour": 1, "distance": 1.0}]}
ASKED = 24


def ask_on_new_connections(server, count):
    """Returns the answers; each connection goes to a worker of the kernel's choice."""
    answers = []
    for _ in range(count):
        answers.append(server.client.post("/v1/models/flights:predict", json=BODY, headers={"connection": "close"}))
    return answers


def workers_of(folder):
    """Returns the processes that count, which their files of metrics are called after."""
    return {int(path.stem.rpartition("_")[2]) for path in folder.glob("ct-metrics-*/counter_*.db")}


def metric(server, name):
    return sum(float(value) for value in re.findall(rf"^{name}[^ ]* (\S+)$", server.client.get("/metrics").text, re.M))


def logged(folder):
    """Returns the rows that the log has, by the process that wrote them."""
    rows = {}
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        rows.setdefault(path.stem.rpartition("-")[2], []).extend(table.to_pylist())
    return rows


def test_two_workers_are_one_service(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    save(tmp_path / "models" / "flights" / "1", 0.25)
    log = tmp_path / "log"
    server = Server(
        tmp_path / "models", "--workers", "2", "--grpc-port", "0",
        "--request-log", str(log), "--request-log-hashed", "carrier",
    )  # fmt: skip
    try:
        first = sorted(workers_of(tmp_path))
        assert len(first) == 2
        assert all(answer.json() == {"predictions": [[0.25]]} for answer in ask_on_new_connections(server, ASKED))
        assert metric(server, "serving_requests_total") == ASKED

        os.kill(first[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(workers_of(tmp_path)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert all(answer.status_code == 200 for answer in ask_on_new_connections(server, ASKED))
        assert metric(server, "serving_requests_total") == 2 * ASKED, "what the killed one counted stays counted"
        alive = workers_of(tmp_path)
    finally:
        assert server.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in alive)
    rows = logged(log)
    assert {str(first[1])} <= set(rows)
    hashed = {row["inputs"]["carrier"] for of_one in rows.values() for row in of_one}
    assert len(hashed) == 1, "one key for all workers, or rows of different workers could not be joined"


@pytest.mark.parametrize("taken", ["alone", "shared"])
def test_a_port_that_another_service_has_is_not_shared_with_it(tmp_path, capfd, taken):
    from kfp_ct.serving.__main__ import main

    with socket.socket() as other:
        if taken == "shared":
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        assert main(["--root", str(tmp_path), "--workers", "2", "--port", port]) == 2

    assert f"cannot listen on 127.0.0.1:{port}" in capfd.readouterr().err
