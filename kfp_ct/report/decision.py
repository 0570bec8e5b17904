"""What came of a run, in words."""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from kfp_ct.pages.formats import plural, version
from kfp_ct.pages.markup import Kind
from kfp_ct.report import states
from kfp_ct.report.content import Content
from kfp_ct.report.verdicts import only_not_significant
from kfp_ct.runs.events import State

if TYPE_CHECKING:
    from kfp_ct.runs.record import Task

Outcome = Literal["blessed", "refused", "failed", "interrupted", "finished", "running"]
_KINDS: dict[Outcome, Kind] = {
    "blessed": "ok", "refused": "warn", "failed": "bad", "interrupted": "bad", "finished": "ok", "running": "info",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Decision:
    """The answer that a run gives.

    Attributes:
        outcome: In one word.
        headline: In one line.
        consequence: What it means for what is served.
        step: Where a failed or interrupted run stopped.
        details: The failed step's message, a line each.
        checks: Every gate that was evaluated: gate, passed, reason.
    """

    outcome: Outcome
    headline: str
    consequence: str = ""
    step: str = ""
    details: tuple[str, ...] = ()
    checks: tuple[dict[str, Any], ...] = ()

    @property
    def kind(self) -> Kind:
        """How it is shown."""
        return _KINDS[self.outcome]


def decide(content: Content) -> Decision:
    """Says what came of a run."""
    checks = tuple(content.checks)
    stopped = _stopped(content)
    if stopped:
        return dataclasses.replace(stopped, checks=checks, consequence=_consequence(content))
    if content.run.state == "RUNNING":
        return Decision("running", "The run goes on", checks=checks)
    if content.monitoring:
        return _monitored(content.monitoring)
    if not content.evaluation:
        return _finished(content)
    if content.blessed:
        return Decision("blessed", _blessed(content), _blessed_over(content), checks=checks)
    if only_not_significant(content.evaluation):
        champion = version(content.evaluation.get("compared_with") or "champion")
        said = f"Not significantly better than {champion}: the champion stays"
        return Decision("refused", said, _consequence(content), checks=checks)
    refused = [check for check in checks if not check["passed"]]
    said = f"Not blessed: {len(refused)} of {plural(len(checks), 'gate')} said no"
    return Decision("refused", said, _consequence(content), checks=checks)


def _finished(content: Content) -> Decision:
    """A run that judged no model: what its last steps found is what it did."""
    feeding = {name for task in content.run.tasks for name in task.upstream}
    last = [task for task in content.run.tasks if task.name not in feeding and states.ran(task.state)]
    said = [task.summary for task in last if task.summary]
    if not said:
        return Decision("finished", "The run finished")
    first, *rest = said
    return Decision("finished", f"Done: {first}", details=tuple(rest))


def _monitored(account: dict[str, Any]) -> Decision:
    said = [found["text"] for found in (*account["reasons"], *account["alarms"])]
    if account["retrain"]:
        return Decision("refused", "Retrain: the model is not what its traffic needs", said[0])
    headlines = {"OK": "No reason to retrain", "ATTENTION": "No reason to retrain, but somebody should look"}
    outcome: Outcome = "finished" if account["state"] == "OK" else "refused"
    return Decision(outcome, headlines.get(account["state"], "Nothing examined"), "; ".join(said))


def champion_version(content: Content) -> str:
    """Returns the version that the run registered; empty if it registered none."""
    register = content.task("register")
    return str(register.parameters.get("version", "")) if register else ""


def _stopped(content: Content) -> Decision | None:
    run = content.run
    failed = next((task for task in run.tasks if task.state == State.FAILED), None)
    if run.state == "INTERRUPTED" or (failed and failed.error == "interrupted"):
        where = failed or next((task for task in run.tasks if task.state == State.SKIPPED), None)
        return _interrupted(where)
    if failed:
        first, *rest = failed.error.splitlines() or ["it gave no reason"]
        return Decision("failed", f"Failed in {failed.name}: {first}", step=failed.name, details=tuple(rest))
    return Decision("failed", "Failed before its end") if run.state == "FAILED" else None


def _interrupted(task: "Task | None") -> Decision:
    if task is None:
        return Decision("interrupted", "Interrupted")
    details = tuple(line for line in task.error.splitlines() if line != "interrupted")
    where = "before" if task.state == State.SKIPPED else "in"
    return Decision("interrupted", f"Interrupted {where} {task.name}", step=task.name, details=details)


def _blessed(content: Content) -> str:
    registered = champion_version(content)
    if not registered:
        return "Blessed"
    if "waiting" in content.deployment:
        return f"Blessed: version {registered} waits for approval"
    if "candidate" in content.deployment:
        return f"Blessed: version {registered} is tried on live traffic"
    return f"Blessed: version {registered} is the champion{' and is served' if content.deployment else ''}"


def _blessed_over(content: Content) -> str:
    passed = f"It passed {plural(len(content.checks), 'gate')}"
    before = content.evaluation.get("compared_with")
    if {"waiting", "candidate"} & set(content.deployment):
        return f"{passed}; {f'champion {version(before)} answers' if before else 'nothing is served'} until then."
    place = f" and takes over from champion {version(before)}." if before else "; it is the first champion."
    return f"{passed}{place}"


def _consequence(content: Content) -> str:
    if content.deployment:
        return f"Version {content.deployment.get('version', '?')} had been deployed before and is served."
    if champion_version(content):
        return f"Version {champion_version(content)} is registered but was not deployed."
    before = content.evaluation.get("compared_with")
    if before:
        return f"Champion {version(before)} stays."
    return "Nothing was deployed; what was served before is served still."
