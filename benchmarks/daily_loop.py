"""Times the daily loop on the flights pipeline: what runs again after an edit, and what that costs.

    .venv/bin/python benchmarks/daily_loop.py --window-end 2013-06-01

Works in a copy of the repository, with local state of its own. Wall seconds are of a quiet machine or of none; CPU
seconds are those of the command and of all processes it starts, tasks among them.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("components", "kfp_ct", "pipelines", "requirements")
TICKS = os.sysconf("SC_CLK_TCK")
# What is edited before a run: nothing, or a line at the end of a file.
EDITS = {
    "first run": "",
    "unchanged": "",
    "model.py edited": "pipelines/flights/model.py",
    "eval_config.pbtxt edited": "pipelines/flights/eval_config.pbtxt",
    "another project's model": "pipelines/other/model.py",
}
# Seconds by the clock on a quiet machine; of model.py's edit a share of the first run.
GOALS = {"unchanged": 1.5, "eval_config.pbtxt edited": 12.0}
MODEL_EDIT, MODEL_SHARE = "model.py edited", 0.6
LINES = {".py": "EDITED = True\n", ".pbtxt": "# edited\n"}


@dataclasses.dataclass(frozen=True)
class Measured:
    """One command: what it cost, and the steps that it executed."""

    wall: float
    cpu: float
    ran: list[str]


def main() -> None:
    """Runs the pipeline once for each edit and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window-end", default="2013-06-01")
    window_end = parser.parse_args().window_end
    print(f"flights, window to {window_end}\n{'run':<26}{'wall s':>8}{'CPU s':>8}  steps that ran")
    with tempfile.TemporaryDirectory() as folder:
        root = copy(Path(folder) / "repository")
        found: dict[str, Measured] = {}
        for name, file in EDITS.items():
            if file:
                edit(root / file)
            measured = found[name] = measure(root, window_end)
            print(f"{name:<26}{measured.wall:>8.1f}{measured.cpu:>8.1f}  {', '.join(measured.ran)}", flush=True)

    first = found["first run"].wall
    for name, goal in {**GOALS, MODEL_EDIT: MODEL_SHARE * first}.items():
        wall = found[name].wall
        print(f"{name}: {wall:.1f} s, wanted at most {goal:.1f}: {'met' if wall <= goal else 'MISSED'}")


def copy(root: Path) -> Path:
    """Copies what runs; the data is linked to."""
    for name in SOURCES:
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".ct").mkdir()
    (root / ".ct" / "data").symlink_to((ROOT / ".ct" / "data").resolve())
    return root


def edit(path: Path) -> None:
    """Puts a line at the end of a file, which is made if it is not there."""
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.is_file() else ""
    path.write_text(before + LINES[path.suffix])


def measure(root: Path, window_end: str) -> Measured:
    """Runs the pipeline once."""
    command = [sys.executable, "-m", "kfp_ct.cli.main", "run", "flights", "--json", "--window-end", window_end]
    environment = {
        **os.environ, "CT_HOME": str(root / ".ct"), "PYTHONPATH": str(root),
        "CT_COMPONENT_PYTHON": os.environ.get("CT_COMPONENT_PYTHON", str(ROOT / ".venv-components/bin/python")),
    }  # fmt: skip
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=out, stderr=subprocess.DEVNULL)
        cpu = watch(process)
        wall = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise SystemExit(f"the run failed: {text[-2000:]}")
    tasks = json.loads(text)["tasks"]
    return Measured(wall, cpu, [task["name"] for task in tasks if task["state"] == "SUCCEEDED"])


def watch(process: subprocess.Popen) -> float:
    """Waits for a process; returns the CPU seconds of it and of all its descendants.

    Tasks are forks that nobody waits for, so no parent has their times: they are read while they live, and what a
    process uses after it was last looked at is lost.
    """
    seconds: dict[tuple[int, str], float] = {}
    while process.poll() is None:
        for key, used in tree(process.pid):
            seconds[key] = used
        time.sleep(0.02)
    return sum(seconds.values())


def tree(root: int) -> list[tuple[tuple[int, str], float]]:
    """Returns the processes of a tree (pid and start time) with the CPU seconds each has used by itself."""
    fields: dict[int, list[str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            continue
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        waiting += [child for child, values in fields.items() if int(values[1]) == pid]
        if pid in fields:
            values = fields[pid]
            found.append(((pid, values[19]), (int(values[11]) + int(values[12])) / TICKS))
    return found


if __name__ == "__main__":
    main()
