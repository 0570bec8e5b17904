"""What came of the run, as the page begins: the decision, its reasons, and every gate."""

from collections.abc import Sequence
from typing import Any

from kfp_ct.report.content import Content
from kfp_ct.report.decision import Decision

# Lines of an error message that begin like this are labels, as `base/errors.py` has them.
_LABELS = ("expected", "fix", "found")


def describe(content: Content, decision: Decision) -> dict[str, Any]:
    """Returns what `report/verdict.html` shows: the reasons, and the gates, those that said no first."""
    return {
        "decision": decision,
        **_message(decision.details),
        "log": _log(content, decision.step),
        "checks": sorted(decision.checks, key=lambda check: bool(check["passed"])),
    }


def subtitle(content: Content) -> dict[str, Any]:
    """Returns what is said of the run below its name."""
    run = content.run
    return {"run": run, "commit": run.commit[:10], "changed": run.commit.endswith("-dirty")}


def _message(lines: Sequence[str]) -> dict[str, Any]:
    """A failed step's message: its points, and its other lines with their labels; or a crash's last lines."""
    if not any(_is_written_for_people(line) for line in lines):
        return {"crash": "\n".join(lines), "points": [], "lines": []}
    points = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return {"crash": "", "points": points, "lines": [_labelled(line) for line in lines if not line.startswith("- ")]}


def _is_written_for_people(line: str) -> bool:
    return line.startswith("- ") or line.partition(": ")[0] in _LABELS


def _labelled(line: str) -> tuple[str, str]:
    label, found, rest = line.partition(": ")
    return (label, rest) if found and label in _LABELS else ("", line)


def _log(content: Content, step: str) -> str:
    log = f"logs/{step}.log"
    return log if step and (content.folder / log).is_file() else ""
