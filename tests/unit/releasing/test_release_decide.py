"""What a look at a release comes to, and bounds that hold at every look."""

import datetime
import math
import random

import pytest

from kfp_ct.models.release_state import RUNNING, State
from kfp_ct.releasing import bounds, decide
from kfp_ct.releasing.decide import Criterion, Seen

START = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)
JUDGE = {"request_log": "log", "labels": "labels", "min_rows": 100, "min_labelled": 50, "max_wait": "4h"}


def state(step=0, equal="promote", **judge):
    policy = {"canary": [1, 10], "every": "30m", "equal": equal, "judge": {**JUDGE, **judge}}
    at = START.isoformat()
    return State("2-a", "m", "1", "2", RUNNING, 1, 0, "", step, at, at, policy, "", {})


def look(minutes, rows=1_000, labelled=1_000, criteria=(), **given):
    seen = Seen(rows, labelled, list(criteria))
    return decide.decide(state(**given), seen, START + datetime.timedelta(minutes=minutes))


BETTER = Criterion("quality", 0.0, -0.2, -0.3, -0.1)
UNSURE = Criterion("quality", 0.0, -0.01, -0.1, 0.1)
DOUBTFUL = Criterion("quality", 0.0, 0.05, -0.1, 0.2)
WORSE = Criterion("quality", 0.05, 0.2, 0.1, 0.3)


@pytest.mark.parametrize(
    ("verdict", "said", "given"),
    [
        ("hold", "the step lasts 30m", {"minutes": 10}),
        ("hold", "99 rows of the candidate, 100 are needed", {"minutes": 60, "rows": 99}),
        ("hold", "49 labelled rows", {"minutes": 60, "labelled": 49}),
        ("advance", "not worse", {"minutes": 30, "criteria": [UNSURE]}),
        ("advance", "not worse", {"minutes": 30, "labelled": 0, "labels": ""}),
        ("hold", "a larger share waits until that is known", {"minutes": 30, "criteria": [DOUBTFUL]}),
        ("advance", "not worse", {"minutes": 240, "criteria": [DOUBTFUL]}),
        ("promote", "equal ones are promoted", {"minutes": 30, "step": 1, "criteria": [UNSURE]}),
        ("promote", "better: quality", {"minutes": 30, "step": 1, "equal": "keep", "criteria": [BETTER]}),
        ("hold", "not better yet", {"minutes": 30, "step": 1, "equal": "keep", "criteria": [UNSURE]}),
        ("back_out", "not better after 4h", {"minutes": 240, "step": 1, "equal": "keep", "criteria": [UNSURE]}),
        ("back_out", "nothing that was not examined goes on", {"minutes": 240, "rows": 99}),
        ("back_out", "nothing that was not examined goes on", {"minutes": 240, "labelled": 0}),
        ("back_out", "quality differ by +0.2", {"minutes": 0, "rows": 1, "criteria": [BETTER, WORSE]}),
    ],
)
def test_a_look_comes_to(verdict, said, given):
    found, reason = look(**given)
    assert (found, said in reason) == (verdict, True), reason


def test_what_is_not_known_is_not_worse():
    assert not Criterion("errors", 0.01).worse
    assert not Criterion("errors", 0.01, 1.0).worse


def test_a_bound_holds_at_every_look_where_a_fixed_interval_does_not():
    generator, looks, level = random.Random(1), 60, 0.05
    wrong = {"every look": 0, "fixed": 0}
    for _ in range(300):
        total, out = 0.0, set()
        for number in range(1, looks + 1):
            total += sum(generator.gauss(0, 1) for _ in range(50))
            rows = 50 * number
            error = rows**-0.5
            if total / rows > bounds.radius(error, rows, 50, level):
                out.add("every look")
            if total / rows > 1.645 * error:
                out.add("fixed")
        for name in out:
            wrong[name] += 1
    assert wrong["every look"] <= 300 * level
    assert wrong["fixed"] > 3 * 300 * level


def test_a_bound_shrinks_with_rows_and_finds_what_is_worse():
    radii = [bounds.radius(rows**-0.5, rows, 100, 0.0125) for rows in (100, 1_000, 10_000)]
    assert radii == sorted(radii, reverse=True)
    assert radii[0] < 0.45
    assert bounds.radius(1.0, 0, 100, 0.05) == math.inf
    assert bounds.distribution_radius(0, 0.05) == math.inf
    assert bounds.distribution_radius(10_000, 0.001) < 0.05
