"""Runs the tests of both environments at once: `make test`.

What one half waits for (services, schedules, processes), the other computes. Lines of progress come as they are made,
the name of their half in front; then each half's report as pytest writes it, the files that took most CPU, and last
the closing line of each. What every file took is kept in .ct/test_costs.json: the next run begins with the dearest.

Failed tests of up to three files are run once more, alone. Those that pass then are unsteady: they are named, with
what they said when they failed, and fail nothing. A test that fails alone as well, or more files, fail the run. What
failed is named once more at the very end, a line each.

Exit code: pytest's own of the first half that failed, also where one had no tests; 0 if both passed.
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HALVES = {"author": ROOT / ".venv/bin/python", "components": ROOT / ".venv-components/bin/python"}
# A file's tests share what they are slow to make; conftest.py orders the files.
OPTIONS = ("-q", "--dist", "loadfile", "--no-loadscope-reorder")
PROGRESS = re.compile(r"^[.FEsxX]+ *\[ *\d+%\]$")
STARTING = "bringing up nodes..."
WIDTH = max(map(len, HALVES))
USAGE, COSTS, DEAREST = "usage.jsonl", ROOT / ".ct" / "test_costs.json", 10
# Tests of a file share what they ask; where those of more files than this fail, it is no chance.
MAY_BE_UNSTEADY = 3
TESTS_FAILED = 1


class Half:
    """The run of one environment's tests; what it says is kept, but for its progress."""

    def __init__(self, name: str, command: Sequence[str | Path], environment: dict[str, str], cache: Path) -> None:
        self.name = name
        self.lines: list[str] = []
        self.unsteady: list[str] = []
        again = ("--last-failed", "--last-failed-no-failures=none", "-n", "0", "--basetemp", cache / "again")
        self._again = (*command, "-o", f"cache_dir={cache}", *again)
        self._environment = environment
        self._failed = cache / "v" / "cache" / "lastfailed"
        self.process = subprocess.Popen(
            [*command, "-o", f"cache_dir={cache}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in map(str.rstrip, self.process.stdout):
            if PROGRESS.match(line):
                print(f"{self.name:{WIDTH}} {line}", flush=True)
            elif line and line != STARTING:
                self.lines.append(line)

    def wait(self) -> int:
        """Waits for its end; returns its exit code."""
        code = self.process.wait()
        self._reader.join()
        return code

    def look_again(self, code: int) -> int:
        """Runs the few tests that failed once more, alone; returns the exit code of the half after that."""
        failed = self.failed() if code == TESTS_FAILED else []
        files = {test.partition("::")[0] for test in failed}
        # One without `::` is a file that could not be read.
        if not 0 < len(files) <= MAY_BE_UNSTEADY or files & set(failed):
            return code
        print(f"{self.name:{WIDTH}} failed beside others, run alone: {', '.join(failed)}", flush=True)
        done = subprocess.run(self._again, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            self.lines[-1:-1] = ["", "alone", *filter(None, done.stdout.splitlines())]
        else:
            self.unsteady = failed
        return done.returncode

    def failed(self) -> list[str]:
        """Returns the names of the tests that failed when they were last run."""
        return list(json.loads(self._failed.read_text())) if self._failed.is_file() else []

    def report(self) -> None:
        """Prints what it said, up to its closing line."""
        if len(self.lines) > 1:
            print(f"\n{self.name}", *self.lines[:-1], sep="\n", flush=True)

    @property
    def closing_line(self) -> str:
        return self.lines[-1] if self.lines else f"{self.name}: pytest said nothing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs both halves; returns the exit code."""
    options, pytests = _parser().parse_known_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="ct-tests-"))
    halves = [_start(name, folder, getattr(options, name), pytests) for name in HALVES]
    try:
        codes = [half.wait() for half in halves]
    except KeyboardInterrupt:  # both have heard it too
        codes = [half.wait() for half in halves]
    codes = [half.look_again(code) for half, code in zip(halves, codes, strict=True)]
    for half in halves:
        half.report()
    _tell_costs(folder / USAGE)
    _tell_unsteady(halves)
    if any(codes):
        _tell_failed(halves)
    print("", *(half.closing_line for half in halves), sep="\n", flush=True)
    code = next((code for code in codes if code), 0)
    if code:
        print(f"what the tests made is in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def _start(name: str, folder: Path, workers: int, pytests: Sequence[str]) -> Half:
    command = [HALVES[name], "-m", "pytest", *OPTIONS, "-n", str(workers), "--basetemp", folder / name, *pytests]
    told = {"CT_TESTS_SHARED": str(folder / "shared"), "WARM_PYTHON_USAGE": str(folder / USAGE)}
    environment = {**os.environ, **told}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each of hundreds of processes would compile it all again
    return Half(name, command, environment, folder / f"cache-{name}")


def _tell_unsteady(halves: Sequence[Half]) -> None:
    named = [test for half in halves for test in half.unsteady]
    if named:
        title = (
            "UNSTEADY: failed beside others and passed alone. Find out why: a test that fails by chance is a defect."
        )
        print("", title, *(f"  {test}" for test in named), sep="\n")


def _tell_failed(halves: Sequence[Half]) -> None:
    for half in halves:
        print("", *(f"FAILED {half.name} {test}" for test in half.failed()), sep="\n")


def _tell_costs(usage: Path) -> None:
    """Prints which files took most CPU seconds, as far as their processes were waited for; keeps those of all."""
    costs: collections.Counter[str] = collections.Counter()
    for line in usage.read_text().splitlines() if usage.is_file() else ():
        noted = json.loads(line)
        costs[noted["test"].split("::")[0]] += noted["seconds"]
    # Not those of tests that tests run.
    found = {file: round(seconds, 1) for file, seconds in costs.most_common() if file and (ROOT / file).is_file()}
    if found:
        print("\nCPU seconds", *(f"{found[file]:7.1f}  {file}" for file in list(found)[:DEAREST]), sep="\n")
        known = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
        COSTS.parent.mkdir(exist_ok=True)
        COSTS.write_text(json.dumps({**known, **found}, indent=1))


def _parser() -> argparse.ArgumentParser:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--author", type=int, default=cores, metavar="N", help="processes of the author's half")
    # Each holds a TensorFlow of 1 GB. As many as of the other half: that half ends first where it has more.
    parser.add_argument("--components", type=int, default=cores, metavar="N", help="processes of the components' half")
    return parser


if __name__ == "__main__":
    sys.exit(main())
