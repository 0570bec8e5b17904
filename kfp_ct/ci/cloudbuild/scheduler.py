"""Runs the steps of a build in the order their waitFor gives, several at a time."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kfp_ct.base import redaction
from kfp_ct.base.interrupts import defer_signals
from kfp_ct.ci.cloudbuild.config import Build, Step
from kfp_ct.ci.cloudbuild.runners import Command
from kfp_ct.ci.cloudbuild.states import Listener, Status, StepState

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0
_MASK = "********"

# Returns what starts a step, or why it cannot run here.
Starter = Callable[[Step], Command | str]


class Scheduler:
    """Runs one build once; a failed step ends it, and what was running with it."""

    def __init__(
        self, build: Build, states: Sequence[StepState], logs: Path, listener: Listener, secrets: Mapping[str, str]
    ) -> None:
        self._build, self._states, self._logs, self._listener = build, states, logs, listener
        self._hidden = [value for value in secrets.values() if value]
        self._running: dict[int, _Running] = {}

    def run(self, start: Starter) -> Status:
        """Runs every step that is QUEUED.

        Returns:
            SUCCESS, FAILURE, TIMEOUT, or INCOMPLETE where this machine could not run a step.

        Raises:
            KeyboardInterrupt: The user stopped it; what ran is stopped and CANCELLED.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self._build.timeout
        try:
            while True:
                failed = self._reap()
                if failed or time.monotonic() > deadline:
                    self._cancel("another step failed" if failed else "the build took too long")
                    return Status.FAILURE if failed else Status.TIMEOUT
                if not self._start_ready(start) and not self._running:
                    return self._verdict()
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            self._cancel("interrupted")
            raise

    def _start_ready(self, start: Starter) -> bool:
        """Starts what can start; returns whether anything changed."""
        changed = False
        for step, state in zip(self._build.steps, self._states, strict=True):
            if state.status is not Status.QUEUED:
                continue
            before = [self._states[index] for index in step.waits_for]
            lost = next((each for each in before if each.status is Status.NOT_RUN), None)
            if lost:
                self._not_run(state, f"waits for {lost.label}, which did not run")
                changed = True
            elif all(each.satisfied for each in before):
                self._start(step, state, start)
                changed = True
        return changed

    def _start(self, step: Step, state: StepState, start: Starter) -> None:
        command = start(step)
        if isinstance(command, str):
            self._not_run(state, command)
            return
        # Whoever interrupts a build between a step's start and its entry here would leave its processes behind.
        with defer_signals():
            state.status = Status.WORKING
            log = self._logs / state.log
            self._listener.started(state)
            self._running[step.index] = _Running(command, log, lambda line: self._masked(state, line))

    def _masked(self, state: StepState, line: str) -> str:
        for value in self._hidden:
            line = line.replace(value, _MASK)
        self._listener.line(state, line)
        return line

    def _reap(self) -> bool:
        """Notes the ends of steps; returns whether one of them fails the build."""
        failed = False
        for index, running in list(self._running.items()):
            step, state = self._build.steps[index], self._states[index]
            if step.timeout is not None and running.seconds > step.timeout and running.code() is None:
                running.stop()
                state.status, state.detail = Status.TIMEOUT, f"took longer than {step.timeout:g} s"
            elif (code := running.code()) is not None:
                state.exit_code = code
                state.status = Status.SUCCESS if code == 0 else Status.FAILURE
                state.detail = "" if code == 0 else _said_of(code)
            else:
                continue
            self._close(index)
            if state.status is not Status.SUCCESS:
                state.forgiven = _forgiven(step, state)
                failed = failed or not state.forgiven
            self._listener.ended(state)
        return failed

    def _close(self, index: int) -> None:
        running = self._running.pop(index)
        running.finish()
        self._states[index].seconds = round(running.seconds, 3)

    def _cancel(self, why: str) -> None:
        for running in self._running.values():
            running.ask_to_stop()
        for index, running in list(self._running.items()):
            running.stop()
            state = self._states[index]
            state.status, state.detail = Status.CANCELLED, why
            self._close(index)
            self._listener.ended(state)

    def _not_run(self, state: StepState, why: str) -> None:
        state.status, state.detail = Status.NOT_RUN, why
        self._listener.ended(state)

    def _verdict(self) -> Status:
        return Status.INCOMPLETE if any(each.status is Status.NOT_RUN for each in self._states) else Status.SUCCESS


class _Running:
    """A step's process group, and the thread that reads what it writes."""

    def __init__(self, command: Command, log: Path, on_line: Callable[[str], str]) -> None:
        self._command, self._log, self._on_line = command, log, on_line
        self._began = time.monotonic()
        self._ended = 0.0
        self._process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._began

    def code(self) -> int | None:
        code = self._process.poll()
        if code is not None and not self._ended:
            self._ended = time.monotonic()
        return code

    def ask_to_stop(self) -> None:
        if self._command.stop:
            subprocess.run(self._command.stop, capture_output=True, check=False)
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        self.ask_to_stop()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def finish(self) -> None:
        """Waits for the rest of the output, but not for a grandchild that keeps the pipe open; those are ended."""
        self.code()
        self._signal(signal.SIGKILL)
        self._reader.join(_GRACE_SECONDS)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with self._log.open("w") as log, self._process.stdout as lines:
            for line in lines:
                log.write(f"{redaction.redact(self._on_line(line.rstrip()))}\n")
                log.flush()


def _forgiven(step: Step, state: StepState) -> bool:
    # Of the two, the list of exit codes decides, as the reference has it.
    if step.allow_exit_codes:
        return state.exit_code in step.allow_exit_codes
    return step.allow_failure


def _said_of(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
