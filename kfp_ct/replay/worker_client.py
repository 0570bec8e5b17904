"""The author environment's side of the worker: one process for all questions of a replay."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import kfp_ct
from kfp_ct.base import python_path
from kfp_ct.base.errors import CtError, RunFailedError
from kfp_ct.project.environments import require_component_python

_MODULE = "kfp_ct.replay.worker"


class WorkerClient:
    """Asks the worker, which is started by the first question; leaving the context ends it."""

    def __init__(self, root: Path, log: Path) -> None:
        self._root, self._log = root, log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.communicate()  # closes its input, by which it ends

    def ask(self, task: str, **values: Any) -> dict[str, Any]:
        """Returns what a function of `kfp_ct.replay.tasks` gives.

        Raises:
            CtError: It refuses; says why.
            RunFailedError: The worker has ended.
        """
        self._process = self._process or self._start()
        assert self._process.stdin is not None  # noqa: S101 - for mypy: they were opened as pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            print(json.dumps({"task": task, **values}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RunFailedError(f"the replay's worker ended while it was asked to {task}\nfix: see {self._log}")
        answer = json.loads(line)
        if "error" in answer:
            raise CtError(answer["error"])
        return dict(answer["result"])

    def _start(self) -> subprocess.Popen[str]:
        python = require_component_python(self._root)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        library = Path(kfp_ct.__path__[0]).parent
        with self._log.open("a") as log:
            return subprocess.Popen(
                [str(python), "-W", "ignore", "-m", _MODULE],
                cwd=self._root,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**python_path.environment(self._root, library), "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
