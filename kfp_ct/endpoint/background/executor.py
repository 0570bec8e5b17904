"""Runs what is queued, each run in its own process, so many at once; finds them again after a restart.

A process holds a lock on its run's folder for as long as it lives. So the endpoint can end, however it ends, and
whoever starts it next knows which runs still go on, which have ended meanwhile, and which have died with the machine.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_ct.endpoint.api.guard import TOKEN_VARIABLE
from kfp_ct.endpoint.background.worker import FAILURE
from kfp_ct.endpoint.store import folders, store_runs
from kfp_ct.endpoint.store.database import Database, now
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record

INTERRUPTED = "interrupted: its process is gone; retry goes on from the step that failed"
_GRACE = 15.0  # seconds a run has to end when asked to
_STARTING = 10.0  # seconds a process has to take hold of its run
_log = logging.getLogger(__name__)


class Executor:
    """The processes of runs."""

    def __init__(self, workspace: Workspace, database: Database, parallel: int) -> None:
        """Prepares; nothing starts before `step` is called.

        Args:
            workspace: Where runs are.
            database: What is queued.
            parallel: How many runs go on at once.
        """
        self._workspace = workspace
        self._database = database
        self._parallel = parallel
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: dict[str, float] = {}  # runs asked to end, and when
        self._lost: dict[str, float] = {}  # runs that nobody holds, and since when

    def step(self) -> bool:
        """Looks after all runs once; returns whether any is queued or at work."""
        with self._database.reading() as connection:
            active = store_runs.in_state(connection, store_runs.RUNNING, store_runs.CANCELING)
            queued = store_runs.in_state(connection, store_runs.PENDING)
        self._end_deleted({run["id"] for run in active})
        going = [run for run in active if self._goes_on(run)]
        for run in queued[: max(0, self._parallel - len(going))]:
            self._start(run)
        return bool(going or queued)

    def children(self) -> int:
        """Returns how many processes this endpoint started that have not ended."""
        return sum(child.poll() is None for child in self._children.values())

    def _start(self, run: Mapping[str, Any]) -> None:
        folder = folders.of(self._workspace, run["id"])
        with self._database.writing() as connection:
            if not store_runs.exists(connection, run["id"]):
                return
            current = store_runs.get(connection, run["id"])
            if current["state"] != store_runs.PENDING:
                return
            store_runs.change(connection, current, store_runs.RUNNING, started_at=now())
        command = [
            sys.executable,
            "-m",
            "kfp_ct.endpoint.background.worker",
            run["id"],
            "--attempt",
            str(run["attempt"]),
        ]
        command += ["--root", str(self._workspace.root), "--home", str(self._workspace.home)]
        with (folder / "worker.log").open("ab") as log:
            # A session of its own: what ends the endpoint does not end its runs.
            self._children[run["id"]] = subprocess.Popen(
                command, cwd=self._workspace.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=_environment(),
            )  # fmt: skip

    def _end_deleted(self, active: set[str]) -> None:
        """Ends the processes of runs that have been deleted, and removes what they have written since."""
        for run_id in set(self._children) - active:
            child = self._children.pop(run_id)
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            with self._database.reading() as connection:
                if not store_runs.exists(connection, run_id):
                    folders.discard(folders.of(self._workspace, run_id))

    def _goes_on(self, run: Mapping[str, Any]) -> bool:
        """Whether a run is at work; one that is not is brought to its end."""
        folder = folders.of(self._workspace, run["id"])
        child = self._children.get(run["id"])
        if child is not None and child.poll() is None:
            if run["state"] == store_runs.CANCELING:
                self._end(run["id"], child.pid)
            return True
        self._children.pop(run["id"], None)
        if folders.is_occupied(folder):
            self._lost.pop(run["id"], None)
            if run["state"] == store_runs.CANCELING and (account := folders.account(folder)):
                self._end(run["id"], account.process)
            return True
        account = folders.account(folder)
        made = account is not None and account.attempt >= run["attempt"]
        if not made and child is None and not self._startup_timed_out(run["id"]):
            return True  # a process of the endpoint before this one may be about to take hold of it
        self._lost.pop(run["id"], None)
        self._asked.pop(run["id"], None)
        self._close(run, account if made else None, folder, started=child is not None)
        return False

    def _startup_timed_out(self, run_id: str) -> bool:
        return time.monotonic() - self._lost.setdefault(run_id, time.monotonic()) > _STARTING

    def _close(self, run: Mapping[str, Any], account: record.Run | None, folder: Path, started: bool) -> None:
        """Writes down how a run ended; one that never began is queued again."""
        failure = folder / FAILURE
        said = failure.read_text() if failure.exists() else ""
        failure.unlink(missing_ok=True)
        with self._database.writing() as connection:
            if not store_runs.exists(connection, run["id"]):
                return
            current = store_runs.get(connection, run["id"])
            ended = {"finished_at": (account.ended if account else "") or now()}
            if account is not None and account.state == record.SUCCEEDED:
                store_runs.change(connection, current, store_runs.SUCCEEDED, **ended)
            elif current["state"] == store_runs.CANCELING:
                store_runs.change(connection, current, store_runs.FAILED, store_runs.TERMINATED, **ended)
            elif account is not None:
                store_runs.change(connection, current, store_runs.FAILED, said or _why(account), **ended)
            elif said or started:
                why = said or _log_tail(folder / "worker.log")
                store_runs.change(connection, current, store_runs.FAILED, why, **ended)
            else:
                store_runs.change(connection, current, store_runs.PENDING, started_at="")

    def _end(self, run_id: str, process: int) -> None:
        """Asks a run's process to end; makes it end if it does not."""
        over = time.monotonic() - self._asked.get(run_id, time.monotonic()) > _GRACE
        if over or run_id not in self._asked:
            self._asked.setdefault(run_id, time.monotonic())
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process, signal.SIGKILL if over else signal.SIGTERM)


def _environment() -> dict[str, str]:
    """Returns the environment of a run: the endpoint's, without what opens the endpoint."""
    return {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}


def _why(account: record.Run) -> str:
    failed = [f"{task.name}: {task.error}" for task in account.tasks if task.error and task.error != "interrupted"]
    return "\n".join(failed) if account.state == record.FAILED and failed else INTERRUPTED


def _log_tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(["the run's process ended before it began", *lines[-5:]])


def keep_stepping(executor: Executor, stop: threading.Event, wake: threading.Event) -> None:
    """Looks after runs until `stop` is set: at once when woken, else a few times a second."""
    while not stop.is_set():
        try:
            busy = executor.step()
        except Exception:
            # Whatever it is, runs are to be looked after again in a moment.
            _log.exception("looking after runs failed")
            busy = True
        wake.wait(0.2 if busy else 2.0)
        wake.clear()
