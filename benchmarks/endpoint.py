"""How the local endpoint does with a long history, and with many runs at once.

    .venv/bin/python benchmarks/endpoint.py

Fills a new state with runs and schedules through the API, then measures API and pages, each 200 times and from four
callers at once; then queues runs and watches how many are at work. Prints a table; milliseconds unless said otherwise.
"""

import argparse
import concurrent.futures
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

import local_endpoint
from local_endpoint import compiled, doubling, until


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--schedules", type=int, default=100)
    parser.add_argument("--queued", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _quiet(Path(folder), given.parallel) as endpoint:
        client = endpoint.client()
        package = compiled(doubling, Path(folder) / "doubling.yaml")
        pipeline = client.upload_pipeline(package, "doubling").pipeline_id
        version = client.list_pipeline_versions(pipeline).pipeline_versions[0].pipeline_version_id
        what = {"pipeline_id": pipeline, "version_id": version, "params": {"number": 3}}
        first = client.run_pipeline(None, "first", **what).run_id
        until(lambda: client.get_run(first).state == "SUCCEEDED")
        _fill(endpoint, client, what, given)
        process = endpoint.process.pid
        schedule = client.list_recurring_runs(page_size=1).recurring_runs[0].recurring_run_id
        places = ["apis/v2beta1/runs", "apis/v2beta1/runs?page_size=200&sort_by=created_at%20desc",
                  f"apis/v2beta1/runs/{first}", "apis/v2beta1/recurringruns",
                  f"apis/v2beta1/pipelines/{pipeline}/versions",
                  "runs", f"runs/{first}", f"runs/{first}/tasks/double", "pipelines", f"pipelines/{pipeline}",
                  "schedules", f"schedules/{schedule}"]  # fmt: skip
        print(f"{'':60} {'median':>8} {'p95':>8}")
        for place in places:
            shown = place.replace(first, "RUN").replace(pipeline, "ID").replace(schedule, "ID")
            times = _times(f"{endpoint.url}/{place}")
            print(f"{shown:60} {statistics.median(times):8.1f} {statistics.quantiles(times, n=20)[-1]:8.1f}")
        print(f"memory of the endpoint: {_memory(process)} MiB")
        _queue(endpoint, client, what, given.queued, process)


def _quiet(folder: Path, parallel: int) -> "local_endpoint.Endpoint":
    return local_endpoint.running(folder / "home", "--parallel", str(parallel))


def _fill(endpoint: "local_endpoint.Endpoint", client: object, what: dict, given: argparse.Namespace) -> None:
    """Runs are made and ended before they begin: what is measured is the history, not kfp."""
    started = time.monotonic()
    for number in range(given.runs):
        run = client.run_pipeline(None, f"run {number}", **what).run_id
        client.terminate_run(run)
    for number in range(given.schedules):
        client.create_recurring_run(None, f"schedule {number}", cron_expression=f"0 {number % 60} 4 1 1 *", **what)
    took = time.monotonic() - started
    print(f"{given.runs} runs and {given.schedules} schedules made in {took:.0f} s at {endpoint.url}")


def _times(url: str, count: int = 200) -> list[float]:
    def ask(_: int) -> float:
        started = time.perf_counter()
        with urllib.request.urlopen(url) as answer:
            answer.read()
        return 1000 * (time.perf_counter() - started)

    with concurrent.futures.ThreadPoolExecutor(4) as callers:
        return list(callers.map(ask, range(count)))


def _memory(process: int) -> int:
    """Returns the resident memory of a process in MiB."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) >> 10


def _queue(endpoint: object, client: object, what: dict, count: int, process: int) -> None:
    started = time.monotonic()
    for number in range(count):
        client.run_pipeline(None, f"queued {number}", **what)
    most, memory, left = 0, 0, count
    while left:
        states = [run.state for run in client.list_runs(page_size=200, sort_by="created_at desc").runs[:count]]
        left = count - states.count("SUCCEEDED")
        most, memory = max(most, states.count("RUNNING")), max(memory, _memory(process))
        assert "FAILED" not in states, "a queued run failed"
        time.sleep(0.2)
    print(f"{count} runs queued at once: all succeeded in {time.monotonic() - started:.0f} s, at most {most} at work")
    print(f"memory of the endpoint meanwhile: {memory} MiB")


if __name__ == "__main__":
    main()
