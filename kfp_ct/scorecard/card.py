"""The ML Test Score of a project.

Breck, Cai, Nielsen, Salib and Sculley 2017: "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt
Reduction". Four sections of seven tests; the score is the least of the sections' sums.
"""

import dataclasses
from typing import Any

from kfp_ct.scorecard import data_checks, infrastructure_checks, model_checks, monitoring_checks
from kfp_ct.scorecard.checks import HALF, NONE, Check, Finding
from kfp_ct.scorecard.evidence import Evidence

SECTIONS: dict[str, tuple[Check, ...]] = {
    "data": data_checks.CHECKS,
    "model": model_checks.CHECKS,
    "infrastructure": infrastructure_checks.CHECKS,
    "monitoring": monitoring_checks.CHECKS,
}
# Upper bounds of the paper's ranges, and what it says of them.
_MEANINGS = (
    (0.0, "more of a research project than a productionized system"),
    (1.0, "not totally untested, but serious holes in reliability are possible"),
    (2.0, "a first pass at basic productionization; additional investment may be needed"),
    (3.0, "reasonably tested, but more of those tests and procedures may be automated"),
    (5.0, "strong automated testing and monitoring, appropriate for mission-critical systems"),
)
_EXCEPTIONAL = "exceptional levels of automated testing and monitoring"


@dataclasses.dataclass(frozen=True)
class Line:
    """A test of a section with what it earns."""

    name: str  # such as data 2
    title: str
    finding: Finding


@dataclasses.dataclass(frozen=True)
class Card:
    """A project's score."""

    project: str
    sections: dict[str, tuple[Line, ...]]

    @property
    def sums(self) -> dict[str, float]:
        """The points of each section."""
        return {name: sum(line.finding.points for line in lines) for name, lines in self.sections.items()}

    @property
    def score(self) -> float:
        """The least of the sections' sums."""
        return min(self.sums.values())

    @property
    def meaning(self) -> str:
        """What the paper says of such a score."""
        return next((text for bound, text in _MEANINGS if self.score <= bound), _EXCEPTIONAL)


def of(project: str, found: Evidence) -> Card:
    """Scores a project by its evidence."""
    sections = {
        name: tuple(_line(f"{name} {number}", check, found) for number, check in enumerate(checks, 1))
        for name, checks in SECTIONS.items()
    }
    return Card(project, sections)


def machine(card: Card) -> dict[str, Any]:
    """Returns a card as JSON has it."""
    tests = [
        {"test": line.name, "title": line.title, **dataclasses.asdict(line.finding)}
        for lines in card.sections.values()
        for line in lines
    ]
    return {
        "project": card.project, "score": card.score, "meaning": card.meaning, "sections": card.sums, "tests": tests,
    }  # fmt: skip


def _line(name: str, check: Check, found: Evidence) -> Line:
    finding, note = check.look(found), found.notes.get(name)
    if finding.points == NONE and note:
        finding = Finding(HALF, f"by hand, {note.date}, {note.by}: {note.document}", finding.raises)
    return Line(name, check.title, finding)
