"""What the request log costs a request: time in the answering thread, and latency and throughput over HTTP.

    .venv-components/bin/python benchmarks/request_log.py MODEL_FOLDER REQUEST.json

MODEL_FOLDER holds a SavedModel, REQUEST.json a predict request for it. Quote figures from a quiet machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("request", type=Path)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    body = options.request.read_bytes()
    print(f"in the answering thread: {in_thread(options.model, body, options.requests):.1f} µs a request")
    for round_ in range(options.rounds):
        for name, logged in (("without", False), ("with", True)):
            times = over_http(options.model, body, options.requests, logged)
            p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
            print(f"round {round_ + 1}, {name:>7} a log: p50 {p50:.2f} ms, p99 {p99:.2f} ms")


def in_thread(model: Path, body: bytes, requests: int) -> float:
    """Returns the microseconds that handing an answer to the log takes."""
    from kfp_ct.serving.request_files import Answered, Key
    from kfp_ct.serving.request_log import RequestLog, Settings
    from kfp_ct.serving.saved_model import SavedModel

    prediction = SavedModel(model).predict(body)
    with tempfile.TemporaryDirectory() as folder:
        log = RequestLog(Settings(Path(folder)))
        started = time.perf_counter()
        for number in range(requests):
            answered = Answered(f"{number:036}", time.time(), 1.0, prediction.inputs, prediction.outputs)
            log.answered(Key("model", 1, prediction.signature), answered)
        taken = time.perf_counter() - started
        log.close()
    return 1e6 * taken / requests


def over_http(model: Path, body: bytes, requests: int, logged: bool) -> list[float]:
    """Returns the milliseconds of each request of one client."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "models" / "model").mkdir(parents=True)
        (root / "models" / "model" / "1").symlink_to(model.absolute())
        command = [sys.executable, "-m", "kfp_ct.serving", "--root", str(root / "models"), "--port", "0"]
        command += ["--request-log", str(root / "log"), "--request-log-seconds", "1"] if logged else []
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        )
        url = json.loads(process.stdout.readline())["url"]
        with httpx.Client(trust_env=False) as client:
            times = [ask(client, f"{url}/v1/models/model:predict", body) for _ in range(requests + 200)][200:]
        process.terminate()
        process.wait(30)
    return times


def ask(client: httpx.Client, url: str, body: bytes) -> float:
    """Returns the milliseconds until an answer."""
    started = time.perf_counter()
    client.post(url, content=body).raise_for_status()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
