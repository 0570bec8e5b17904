"""Times a run of the flights pipeline by step, with peak memory of the whole process tree.

    .venv/bin/python benchmarks/pipeline.py --window-end 2013-12-31

Runs in an empty home; a second, unchanged run is timed too. Quote figures from a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def main() -> None:
    """Runs twice and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window-end", default="2013-12-31")
    window_end = parser.parse_args().window_end
    with tempfile.TemporaryDirectory() as home:
        first = measure(Path(home), window_end)
        again = measure(Path(home), window_end)
    print(f"flights, window to {window_end}")
    print(f"{'step':<18}{'wall s':>8}{'peak MiB':>10}")
    for task in first["record"]["tasks"]:
        print(f"{task['name']:<18}{task['seconds']:>8.1f}{first['peaks'].get(task['name'], 0) / 2**20:>10.0f}")
    print(f"{'whole command':<18}{first['wall']:>8.1f}{max(first['peaks'].values()) / 2**20:>10.0f}")
    print(f"{'unchanged rerun':<18}{again['wall']:>8.1f}{max(again['peaks'].values()) / 2**20:>10.0f}")


def measure(home: Path, window_end: str) -> dict:
    """Runs once; returns the record, wall seconds, and peak bytes (PSS of the tree) by step."""
    command = [sys.executable, "-m", "kfp_ct.cli.main", "run", "flights", "--json", "--window-end", window_end]
    started = time.monotonic()
    process = subprocess.Popen(
        command, env={**os.environ, "CT_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peaks: dict[str, int] = {}
    watcher = threading.Thread(target=watch, args=(process, home, peaks), daemon=True)
    watcher.start()
    out, _ = process.communicate()
    wall = time.monotonic() - started
    if process.returncode:
        raise SystemExit(f"the run failed: {out[-2000:]}")
    return {"record": json.loads(out), "wall": wall, "peaks": peaks}


def watch(process: subprocess.Popen, home: Path, peaks: dict[str, int]) -> None:
    """Samples the tree's memory and books it on the step that runs."""
    while process.poll() is None:
        step = running_step(home) or "start"
        peaks[step] = max(peaks.get(step, 0), tree_bytes(process.pid))
        time.sleep(0.2)


def running_step(home: Path) -> str:
    """Returns the step that the newest record says is running."""
    records = sorted(home.glob("runs/*/run.json"))
    tasks = json.loads(records[-1].read_text())["tasks"] if records else []
    return next((task["name"] for task in tasks if task["state"] == "RUNNING"), "")


def tree_bytes(root: int) -> int:
    """Returns the proportional set size of a process and its descendants: forks share what they inherited."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, [])
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


if __name__ == "__main__":
    main()
