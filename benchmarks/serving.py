"""The prediction service's latency and throughput: prints the serving table of the project's goals.

    .venv-components/bin/python benchmarks/serving.py

It takes the model that `ct run flights` deployed, or another by --root and --model. Rows are made up from the model's
own signature. The service runs as a process; its CPU per request is printed too, since that is what a busy machine
cannot change. Load at many connections is measured twice: a closed loop (every connection asks again at once) finds
the throughput, then requests arrive at a fixed rate below it whether or not earlier ones are answered, and latency
counts from when a request was due, not from when a connection was free for it.
"""

import argparse
import asyncio
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
_OPEN_LOOP_SHARE = 0.7
_IN_PROCESS_ROWS = (1_000, 10_000)
_ONE, _MANY, _DUE, _HUNDRED = (
    "one row, 1 connection",
    "one row, 64 connections, closed loop",
    "one row, 64 connections, requests due",
    "100 rows, 4 connections",
)


class Measured(NamedTuple):
    """What one load came to; milliseconds a request."""

    rate: float  # requests a second
    rows: float  # rows a second
    p50: float
    p99: float
    cpu: float


# What is wanted of which load, on a quiet machine of two cores with the client beside it: at most, or at least.
GOALS = (
    (_ONE, "p50", "at most", 3.0),
    (_MANY, "rate", "at least", 2_500.0),
    (_DUE, "p99", "at most", 60.0),
    (_HUNDRED, "rows", "at least", 80_000.0),
    ("in process, 1,000 rows", "p50", "at most", 5.0),
    ("in process, 10,000 rows", "p50", "at most", 35.0),
)
measured: dict[str, Measured] = {}


def main() -> None:
    """Prints the table."""
    given = options(__doc__).parse_args()
    require_deployed(given)
    print_head()
    if "http" not in given.skip:
        over_http(given)
    if "in-process" not in given.skip:
        in_process(given.root / given.model)
    print_goals()


def options(description: str) -> argparse.ArgumentParser:
    """Returns the options of a measurement."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT / ".ct" / "serving", help="(default: %(default)s)")
    parser.add_argument("--model", default="flights")
    parser.add_argument("--seconds", type=float, default=5.0, help="a measurement (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="open loop: requests/s (default: 0.7 of what the closed loop took)")
    parser.add_argument("--skip", nargs="*", default=[], choices=["http", "in-process"])
    parser.add_argument("--options", default="", help="further options of the service, in one string")
    return parser


def require_deployed(given: argparse.Namespace) -> None:
    """Ends the program if there is no model to measure."""
    if not (given.root / given.model).is_dir():
        raise SystemExit(f"nothing is deployed at {given.root / given.model}: `ct run {given.model}` first")


def print_head() -> None:
    """Prints the head of the table."""
    print(f"{'':44} {'requests/s':>10} {'rows/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")


def print_goals() -> None:
    """Says of every goal whether it was met."""
    print(f"\n{'goal':44} {'':4} {'wanted':>18} {'measured':>10}")
    for name, figure, bound, wanted in GOALS:
        if name in measured:
            got = getattr(measured[name], figure)
            met = got <= wanted if bound == "at most" else got >= wanted
            print(f"{name:44} {figure:4} {bound:>9} {wanted:8,.0f} {got:10,.1f}  {'met' if met else 'MISSED'}")


def note(name: str, found: Measured) -> None:
    """Keeps and prints what a load came to."""
    measured[name] = found
    print(
        f"{name:44} {found.rate:10.1f} {found.rows:9.0f} {found.p50:8.2f} {found.p99:8.2f} {found.cpu:8.2f}", flush=True
    )


def over_http(given: argparse.Namespace) -> None:
    """Measures the service as a process."""
    command = [sys.executable, "-m", "kfp_ct.serving", "--root", str(given.root), "--port", "0"]
    command += given.options.split()
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=noise, text=True)
        try:
            assert process.stdout
            url = json.loads(process.stdout.readline())["url"]
            asyncio.run(_measure(url, process.pid, given))
        finally:
            process.terminate()
            process.wait(30)


async def _measure(url: str, process: int, given: argparse.Namespace) -> None:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    specs = _inputs(await _get(host, int(port), f"/v1/models/{given.model}/metadata"))
    one, hundred = (_request(host, port, given.model, rows(specs, count)) for count in (1, 100))
    load = _Load(host, int(port), process, given.seconds)
    await load.closed(one, 1, "", 1, seconds=1)  # what is left of warming up
    await load.closed(one, 1, _ONE, 1)
    rate = await load.closed(one, 64, _MANY, 1)
    rate = given.rate or _OPEN_LOOP_SHARE * rate
    await load.open(one, 64, _DUE, rate)
    await load.closed(hundred, 4, _HUNDRED, 100)


class _Load:
    """Sends requests and prints a line a measurement."""

    def __init__(self, host: str, port: int, process: int, seconds: float) -> None:
        self._address = (host, port)
        self._process = process
        self._seconds = seconds

    async def closed(self, request: bytes, connections: int, name: str, rows: int, seconds: float = 0) -> float:
        """Every connection asks again as soon as it is answered; returns the requests a second."""
        times: list[float] = []
        cpu, started = _cpu(self._process), time.perf_counter()
        until = started + (seconds or self._seconds)

        async def ask() -> None:
            connection = await _Connection.open(*self._address)
            while (begun := time.perf_counter()) < until:
                await connection.ask(request)
                times.append(time.perf_counter() - begun)
            connection.close()

        await asyncio.gather(*(ask() for _ in range(connections)))
        return self._print(name, times, time.perf_counter() - started, _cpu(self._process) - cpu, rows)

    async def open(self, request: bytes, connections: int, name: str, rate: float) -> float:
        """Requests are due at a fixed rate; one that no connection is free for waits, and its wait counts."""
        times: list[float] = []
        due: collections.deque[float] = collections.deque()
        cpu, started = _cpu(self._process), time.perf_counter()
        end, ready = started + self._seconds, asyncio.Semaphore(0)

        async def arrive() -> None:
            number = 0
            while time.perf_counter() < end:
                while (when := started + number / rate) <= time.perf_counter():
                    due.append(when)
                    ready.release()
                    number += 1
                await asyncio.sleep(max(0.0, when - time.perf_counter()))

        async def ask() -> None:
            connection = await _Connection.open(*self._address)
            while True:
                await ready.acquire()
                begun = due.popleft()
                await connection.ask(request)
                times.append(time.perf_counter() - begun)

        askers = [asyncio.create_task(ask()) for _ in range(connections)]
        await arrive()
        while due and not any(task.done() for task in askers):
            await asyncio.sleep(0.05)
        for task in askers:
            task.cancel()
        return self._print(name, times, time.perf_counter() - started, _cpu(self._process) - cpu, 1)

    @staticmethod
    def _print(name: str, times: list[float], seconds: float, cpu: float, rows: int) -> float:
        rate = len(times) / seconds
        p50, p99 = 1000 * statistics.median(times), 1000 * statistics.quantiles(times, n=100)[98]
        if name:
            note(name, Measured(rate, rate * rows, p50, p99, 1000 * cpu / len(times)))
        return rate


class _Connection(asyncio.Protocol):
    """A client that costs little: one request at a time, the answer's head searched only for its length."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[None] | None = None
        self._transport: Any = None

    @classmethod
    async def open(cls, host: str, port: int) -> "_Connection":
        return (await asyncio.get_running_loop().create_connection(cls, host, port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0 or self._answer is None or self._answer.done():
            return
        lower = bytes(self._received[:head]).lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) >= head + 4 + length:
            answer, self._answer = self._answer, None
            if lower[9:12] != b"200":
                answer.set_exception(RuntimeError(self._received.decode()))
            else:
                answer.set_result(None)
            self._received.clear()

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    def ask(self, request: bytes) -> "asyncio.Future[None]":
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self._transport.close()


async def _get(host: str, port: int, path: str) -> Any:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def _inputs(metadata: Any) -> dict[str, str]:
    inputs = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    return {name: info["dtype"] for name, info in inputs.items()}


def rows(specs: dict[str, str], count: int) -> list[dict[str, Any]]:
    """Returns made-up rows, the same every time."""
    random = np.random.default_rng(0)
    makers = {
        "DT_STRING": lambda: str(random.choice(["AA", "UA", "JFK", "EWR"])),
        "DT_INT64": lambda: int(random.integers(0, 12)),
    }
    return [
        {name: makers.get(kind, lambda: round(float(random.random()) * 1000, 1))() for name, kind in specs.items()}
        for _ in range(count)
    ]


def _request(host: str, port: str, model: str, instances: list[dict[str, Any]]) -> bytes:
    body = json.dumps({"instances": instances}).encode()
    head = f"POST /v1/models/{model}:predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _cpu(process: int) -> float:
    """Returns the CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_process(model: Path) -> None:
    """Measures decoding, prediction and encoding without HTTP."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from kfp_ct.serving.saved_model import SavedModel

    newest = max((path for path in model.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    loaded = SavedModel(newest)
    loaded.warm_up()  # as the service does before a version answers
    signature = loaded.metadata()["serving_default"]
    specs = {name: info["dtype"] for name, info in signature["inputs"].items()}
    for count in _IN_PROCESS_ROWS:
        body = json.dumps({"instances": rows(specs, count)}).encode()
        repeats, times = 20, []
        loaded.predict(body)
        cpu = time.process_time()
        for _ in range(repeats):
            begun = time.perf_counter()
            loaded.predict(body)
            times.append(time.perf_counter() - begun)
        each = 1000 * (time.process_time() - cpu) / repeats
        _report_in_process(count, times, each)


def _report_in_process(count: int, times: list[float], cpu: float) -> None:
    p50, p99 = 1000 * statistics.median(times), 1000 * max(times)
    rate = 1 / statistics.median(times)
    note(f"in process, {count:,} rows", Measured(rate, rate * count, p50, p99, cpu))


if __name__ == "__main__":
    main()
