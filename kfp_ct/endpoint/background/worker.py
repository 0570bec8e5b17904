"""The process of one run: holds the run's folder, does what is written there, once an attempt."""

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from kfp_ct.base import redaction
from kfp_ct.base.errors import CtError
from kfp_ct.data import layouts
from kfp_ct.endpoint.store import folders
from kfp_ct.local import run
from kfp_ct.package import package
from kfp_ct.project import workspace as project
from kfp_ct.project.environments import component_set, require_component_python
from kfp_ct.runs import record

FAILURE = "failure.txt"
# How long another look at the folder, such as the endpoint's, may keep it.
_PATIENCE = 5.0


def main() -> int:
    """Runs one attempt; exits with 0 if it is done, whatever it came to."""
    redaction.guard_streams()
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--attempt", type=int, required=True)
    given = parser.parse_args()
    workspace = project.Workspace(given.root, given.home)
    folder = folders.of(workspace, given.run)
    until = time.monotonic() + _PATIENCE
    while True:
        with folders.occupied(folder) as mine:
            if mine:
                return _attempt(workspace, folder, given.attempt)
        if time.monotonic() > until:
            print(f"another process is at work on {given.run}")
            return 0
        time.sleep(0.05)


def _attempt(workspace: project.Workspace, folder: Path, attempt: int) -> int:
    before = folders.account(folder)
    if before and before.attempt >= attempt:
        print(f"attempt {attempt} was made before")
        return 0
    if before:
        folders.set_aside(folder, before.attempt)
    try:
        prepared = _prepared(workspace, folder, attempt)
        run.perform(workspace, prepared, Console(file=sys.stdout, highlight=False, width=160))
    except CtError as error:
        # Where there is no record yet, this is all there is to say.
        layouts.write_text(folder / FAILURE, redaction.redact(str(error)))
        print(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        layouts.write_text(
            folder / FAILURE,
            f"the run could not be carried out: {redaction.redact(str(error))}\nsee {folder / 'worker.log'}",
        )
        raise
    return 0


def _prepared(workspace: project.Workspace, folder: Path, attempt: int) -> run.Prepared:
    order = folders.order(folder)
    require_component_python(workspace.root)
    compiled = run.runnable(folders.submitted(folder))
    name, pipeline = _project(workspace, compiled)
    begun = record.Run(
        id=order.id,
        project=name,
        environment="endpoint",
        pipeline=pipeline,
        parameters={},
        cause=order.cause,
        decision=order.decision,
        commit=project.commit(workspace.root),
        versions={
            **record.versions(),
            "components": component_set()[0].removesuffix(".txt"),
            "pipeline version": order.version,
        },
        user=record.user(),
        process=os.getpid(),
        started=record.now(),
        attempt=attempt,
    )
    return run.complete(workspace, begun, compiled, order.parameters)


def _project(workspace: project.Workspace, compiled: package.Package) -> tuple[str, str]:
    """Returns the project and the pipeline's module a package was compiled from; a foreign one has its own name."""
    name = compiled["pipelineInfo"]["name"]
    for known in sorted(workspace.projects(), key=len, reverse=True):
        prefix = known.replace("_", "-") + "-"
        if name.startswith(prefix):
            return known, f"pipelines.{name.removeprefix(prefix).replace('-', '_')}"
    return name, name


if __name__ == "__main__":
    sys.exit(main())
