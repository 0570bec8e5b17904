"""What a request log costs under load: benchmarks/serving.py's loads over HTTP, without and with a log, in turn.

    .venv-components/bin/python benchmarks/request_log_load.py

CPU is that of the whole service, the log's writer included. After the first load, requests are due at its rate in all
of them, so that latencies are those of the same load. Quote latencies from a quiet machine only.
"""

import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import serving

FIGURES = (("cpu", "CPU ms"), ("p50", "p50 ms"), ("p99", "p99 ms"))


def main() -> None:
    """Prints every load, and what the log adds."""
    parser = serving.options(__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    serving.require_deployed(given)
    found: dict[bool, list[dict[str, serving.Measured]]] = {False: [], True: []}
    plain = given.options
    serving.print_head()
    for logged in (False, True) * given.rounds:
        with tempfile.TemporaryDirectory() as folder:
            given.options = f"{plain} --request-log {folder}" if logged else plain
            print("with a request log" if logged else "without a request log")
            serving.over_http(given)
            found[logged].append(dict(serving.measured))
            given.rate = given.rate or serving.measured["one row, 64 connections, requests due"].rate
            if logged:
                print_counts(Path(folder))
    print_added(found)


def print_counts(folder: Path) -> None:
    """Says how many requests the log counted, and how many of them it has."""
    counted = [json.loads(pq.read_schema(path).metadata[b"serving"]) for path in folder.glob("*/*/*.parquet")]
    kept = sum(pq.read_metadata(path).num_rows for path in folder.glob("*/*/*.parquet"))
    total = {name: sum(each[name] for each in counted) for name in ("requests", "sampled", "dropped", "lost")}
    print(f"in the log: {kept:,} rows; {', '.join(f'{name} {count:,}' for name, count in total.items())}")


def print_added(found: dict[bool, list[dict[str, serving.Measured]]]) -> None:
    """Prints the differences of the best figures of each load."""
    print(f"\n{'with a log less without, a request':44} " + " ".join(f"{title:>8}" for _, title in FIGURES))
    for load in found[True][0]:
        added = [
            min(getattr(each[load], figure) for each in found[True])
            - min(getattr(each[load], figure) for each in found[False])
            for figure, _ in FIGURES
        ]
        print(f"{load:44} " + " ".join(f"{each:8.3f}" for each in added))


if __name__ == "__main__":
    main()
