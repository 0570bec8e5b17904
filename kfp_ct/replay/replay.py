"""Replays a project: every strategy through the same time, in a home of its own, and what they came to."""

import concurrent.futures
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.data import layouts
from kfp_ct.project import settings as project_settings
from kfp_ct.project.workspace import Workspace
from kfp_ct.replay import page, settings, summary
from kfp_ct.replay.plan import EVERY, ONCE, POLICY, Plan, Strategy
from kfp_ct.replay.project_stage import ProjectStage, scene
from kfp_ct.replay.results import Store, WindowResult
from kfp_ct.replay.summary import Outcome, Report
from kfp_ct.replay.timeline import Timeline
from kfp_ct.replay.worker_client import WorkerClient
from kfp_ct.watch import policy

HTML, JSON = "replay.html", "replay.json"
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Request:
    """What is replayed.

    Attributes:
        project: The project.
        given: Fields of replay.yaml that stand over it.
        parameters: Settings of the runs that stand over those of replay.yaml.
        compare: Further policies, files like triggers.yaml.
        jobs: Strategies at a time.
    """

    project: str
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    compare: Sequence[Path] = ()
    jobs: int = 1


def replay(workspace: Workspace, request: Request, say: Say) -> Report:
    """Replays every strategy, and writes the page and the figures; what was done before is not done again.

    Raises:
        CtError: Something does not fit, or the first model is refused.
    """
    plan, strategies = read(workspace, request)
    own = own_workspace(workspace, request.project)
    with atomic_files.locked(own.home / ".lock"):
        ordered = sorted(strategies, key=lambda each: each.kind != EVERY)  # what it trains, others find in the cache
        if request.jobs > 1:
            _in_processes(workspace, request, ordered, say)
        found = {each.name: go_through(own, request.project, (plan, each), say) for each in ordered}
        outcomes = [Outcome(each.name, each.kind, tuple(found[each.name])) for each in strategies]
        report = summary.report(request.project, plan.replay.model_dump(mode="json"), outcomes)
        layouts.write_text(own.home / JSON, json.dumps(summary.machine(report), indent=1))
        layouts.write_text(own.home / HTML, page.draw(report))
    return report


def read(workspace: Workspace, request: Request) -> tuple[Plan, list[Strategy]]:
    """Reads what is replayed: replay.yaml, triggers.yaml and the policies to compare.

    Raises:
        UsageError: A file is missing or does not fit, or two policies have one name.
    """
    folder = workspace.settings_folder(request.project).parent
    chosen = settings.load(folder / settings.FILE, dict(request.given))
    plan = Plan(chosen.model_copy(update={"parameters": {**chosen.parameters, **request.parameters}}))
    files = [*(folder / name for name in plan.replay.compare), *request.compare]
    if (folder / policy.FILE).is_file():
        files.insert(0, folder / policy.FILE)
    strategies = [Strategy(ONCE, ONCE), Strategy(EVERY, EVERY)]
    strategies += [Strategy(file.stem, POLICY, policy.load(file)) for file in dict.fromkeys(files)]
    names = [each.name for each in strategies]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two policies are named {min(twice)}\nfix: rename one of the files")
    return plan, strategies


def own_workspace(workspace: Workspace, project: str) -> Workspace:
    """Returns the repository with a home of the replay's own: nothing of the user's state is changed."""
    return Workspace(workspace.root, workspace.home / "replays" / project)


def go_through(own: Workspace, project: str, what: tuple[Plan, Strategy], say: Say) -> list[WindowResult]:
    """Goes through one strategy's time."""
    plan, strategy = what
    set_up = scene(own, project, plan, strategy)
    # Of a replay that was killed, a strategy's process may go on: it is waited for, and its results are read.
    held = atomic_files.locked(set_up.folder / ".lock")
    with held, WorkerClient(own.root, own.home / "worker.log") as worker:
        store = Store(set_up.folder / "windows", set_up.key)
        stage = ProjectStage(set_up, worker, rules(own, project, plan.replay.monitoring))
        return Timeline(plan, strategy, stage, store).run(lambda result: say(f"{strategy.name}: {_line(result)}"))


def rules(workspace: Workspace, project: str, monitoring: str) -> dict[str, Any]:
    """Returns the rules of a project's monitoring settings; none where it has no such settings."""
    if not monitoring:
        return {}
    return dict(project_settings.load(workspace, project, monitoring, {}).parameters.get("rules", {}))


def _in_processes(workspace: Workspace, request: Request, strategies: Sequence[Strategy], say: Say) -> None:
    """Goes through strategies in processes of their own; what they leave is then read.

    The first goes alone: what it trains, the others find in the cache.
    """
    commands = [_command(workspace, request, each) for each in strategies]
    _run(commands[0], workspace.root, say)
    with concurrent.futures.ThreadPoolExecutor(request.jobs) as pool:
        for done in [pool.submit(_run, command, workspace.root, say) for command in commands[1:]]:
            done.result()


def _command(workspace: Workspace, request: Request, strategy: Strategy) -> list[str]:
    asked = {
        "root": str(workspace.root), "home": str(workspace.home), "project": request.project,
        "given": dict(request.given), "parameters": dict(request.parameters),
        "compare": [str(file.absolute()) for file in request.compare], "strategy": strategy.name,
    }  # fmt: skip
    return [sys.executable, "-m", "kfp_ct.replay.strategy_process", json.dumps(asked)]


def _run(command: Sequence[str], root: Path, say: Say) -> None:
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - for mypy: it was opened as a pipe
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            say(line.rstrip())
    if process.returncode:
        raise CtError("\n".join(lines[-4:]).removeprefix("error: ") or "a strategy's process ended without a word")


def _line(result: WindowResult) -> str:
    quality = result.quality
    trained = ", ".join(f"trained up to {run.data_until[:10]}" for run in result.runs if run.run)
    said = f"{result.start[:10]}: {quality.metric} {quality.value:.4f} on {quality.rows:,} rows by v{result.version}"
    return f"{said}; {trained}" if trained else said
