"""What a task says while it runs, in the protocol of kfp_ct/base/task_log.py."""

import re

from kfp_ct.base import exception_texts
from kfp_ct.base import task_log as protocol

# Of a line that explains a failure; a value of a megabyte can stand in one.
_LONGEST = 1000
# The line below a traceback that names an exception; its message may go on for many lines.
_TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: |$)")
_FRAME = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+)')
# What kfp's executor says before a task's own code runs; the last line of it goes on with the input, up to a brace.
_KFP = re.compile(r"\[KFP Executor .+\]: (?P<text>.*)|<frozen runpy>:\d+: RuntimeWarning: 'kfp\.dsl\.executor_main'")
_INPUT = "Got executor_input:"


class TaskOutput:
    """The lines of one task, as far as they say how it went."""

    def __init__(self) -> None:
        self.summary = ""
        self.exit_code = 0
        self._error: list[str] = []
        self._exception = ""
        self._place = ""
        self._in_traceback = False
        self._in_input = False
        self._last: list[str] = []

    def refuse(self, message: str) -> None:
        """Takes a message of what did not let the task begin, or end well."""
        self._error = message.splitlines()

    def add(self, line: str) -> None:
        """Takes one line."""
        if line.startswith(protocol.SUMMARY):
            self.summary = line.removeprefix(protocol.SUMMARY)
        if line.startswith(protocol.ERROR):
            self._error = [line.removeprefix(protocol.ERROR)]
        elif self._error and line.startswith("  "):
            self._error.append(line.strip())
        self._trace(line)
        if not self._is_kfps(line):
            self._last = [*self._last[-4:], line[:_LONGEST]]

    def reason(self) -> str:
        """Says why the task failed: its own message, else how it ended and its last words."""
        if self._error:
            return "\n".join(self._error)
        how = f"killed by signal {self.exit_code - 128}" if self.exit_code > 128 else f"exit code {self.exit_code}"
        last = [line for line in self._last if line.strip()]
        if self._exception:
            where = [f"where: {self._place}"] if self._place else []
            return "\n".join([self._exception, *where, f"stopped unexpectedly ({how})", *last])
        return "\n".join([f"stopped unexpectedly ({how})", *last])

    def _is_kfps(self, line: str) -> bool:
        """Says whether a line is kfp's about the task, not the task's own word: no reason why it failed."""
        if self._in_input:
            self._in_input = line != "}"
            return True
        said = _KFP.match(line)
        self._in_input = said is not None and said["text"] == _INPUT
        return said is not None

    def _trace(self, line: str) -> None:
        """Keeps the exception that a traceback ends with, and the deepest place in the user's own code."""
        if line.startswith(_TRACEBACK):
            self._in_traceback, self._exception, self._place = True, "", ""
        elif self._in_traceback and (frame := _FRAME.match(line)):
            if exception_texts.is_own(frame["file"]):
                self._place = f"{frame['file']}, line {frame['line']}"
        elif self._in_traceback and _EXCEPTION.match(line):
            self._exception, self._in_traceback = line[:_LONGEST], False
