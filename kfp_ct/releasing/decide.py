"""What a look at a release comes to: hold, advance, promote or back out; nothing else is asked than what was seen."""

import dataclasses
import datetime

from kfp_ct.clock.durations import duration
from kfp_ct.models.release_state import State
from kfp_ct.models.releases import ADVANCE, BACK_OUT, HOLD, PROMOTE

QUALITY = "quality"


@dataclasses.dataclass(frozen=True)
class Criterion:
    """By how much the candidate is worse (positive), and the ends of what that can be; None where it is not known.

    Attributes:
        name: errors, latency (of its logarithm), predictions (their distance) or quality.
        allowed: What it may be.
        value: What was found.
        low: It is at least that, beyond doubt.
        high: It is at most that, beyond doubt.
    """

    name: str
    allowed: float
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def worse(self) -> bool:
        """Whether it is more than allowed, beyond doubt."""
        return self.low is not None and self.low > self.allowed

    @property
    def doubtful(self) -> bool:
        """Whether what was found is more than allowed, though it may be chance."""
        return self.low is not None and self.value is not None and self.value > self.allowed

    @property
    def better(self) -> bool:
        """Whether the candidate is better, beyond doubt."""
        return self.high is not None and self.high < 0


@dataclasses.dataclass(frozen=True)
class Seen:
    """The candidate's rows of the present step, those of them with a label, and the criteria over all steps.

    Attributes:
        unknown: What should have been seen of both versions, and was not: errors, latency.
    """

    rows: int
    labelled: int
    criteria: list[Criterion]
    unknown: tuple[str, ...] = ()


def decide(state: State, seen: Seen, now: datetime.datetime) -> tuple[str, str]:
    """Returns the verdict on a step, and why."""
    policy, rules = state.rules, state.rules.judge
    waited = (now - datetime.datetime.fromisoformat(state.since)).total_seconds()
    late = waited >= duration(rules.max_wait)
    if worse := [each for each in seen.criteria if each.worse]:
        return BACK_OUT, "; ".join(_worse(each) for each in worse)
    if lacking := _lacking(state, seen):
        why = f"{lacking} after {rules.max_wait}: nothing that was not examined goes on"
        return (BACK_OUT, why) if late else (HOLD, lacking)
    if waited < duration(policy.every):
        return HOLD, f"the step lasts {policy.every}"
    last = state.step + 1 == len(policy.steps)
    if not last and not late and (doubtful := [each for each in seen.criteria if each.doubtful]):
        return HOLD, "; ".join(f"{_text(each)}: a larger share waits until that is known" for each in doubtful)
    if not last:
        return ADVANCE, f"not worse on {seen.rows:,} rows"
    better = [each for each in seen.criteria if each.name == QUALITY and each.better]
    if better:
        return PROMOTE, f"better: {_text(better[0])}"
    if policy.equal == "promote":
        return PROMOTE, f"not worse on {seen.rows:,} rows; equal ones are promoted"
    if late:
        return BACK_OUT, f"not better after {rules.max_wait}; equal ones are kept back"
    return HOLD, "not better yet; equal ones are kept back"


def _lacking(state: State, seen: Seen) -> str:
    rules = state.rules.judge
    if seen.rows < rules.min_rows:
        return f"{seen.rows:,} rows of the candidate, {rules.min_rows:,} are needed"
    if rules.labels and seen.labelled < rules.min_labelled:
        return f"{seen.labelled:,} labelled rows of the candidate, {rules.min_labelled:,} are needed"
    if seen.unknown:
        return f"Cloud Monitoring has no {' and no '.join(seen.unknown)} for some of the requests"
    return ""


def _worse(criterion: Criterion) -> str:
    return f"{_text(criterion)}, allowed is {criterion.allowed:.4g}"


def _text(criterion: Criterion) -> str:
    ends = f"{criterion.low:+.4g} to {criterion.high:+.4g}"
    return f"{criterion.name} differ by {criterion.value:+.4g} ({ends} at every look)"
