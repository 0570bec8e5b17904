"""Makes a version again and says whether it is the same, by fingerprints and metrics, and if not, why."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import UsageError, listed
from kfp_ct.champions.locations import Location
from kfp_ct.reproduce import causes, checkout, locked, recipe, rerun
from kfp_ct.reproduce.causes import Cause
from kfp_ct.reproduce.recipe import Recipe
from kfp_ct.runs import parity, run_facts
from kfp_ct.runs.events import State
from kfp_ct.runs.parity import Comparison
from kfp_ct.runs.record import Run


@dataclasses.dataclass(frozen=True)
class Row:
    """A result that is another one.

    Attributes:
        section: data, metrics, outputs, gates, steps or inputs.
        name: What it is.
        recorded: As the run had it.
        again: As it came out now.
        second: As it came out of a second run; None where there was none, or it has it not.
        by_chance: Whether two runs of the same differ in it, too.
    """

    section: str
    name: str
    recorded: Any
    again: Any
    second: Any = None
    by_chance: bool = False


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What came of making a version again.

    Attributes:
        recipe: How it was made.
        rows: Results that are other ones.
        causes: What may be behind that.
        compared: How many results were held against each other.
        runs: How many runs were made.
    """

    recipe: Recipe
    rows: tuple[Row, ...]
    causes: tuple[Cause, ...]
    compared: int
    runs: int

    @property
    def same(self) -> bool:
        """Whether it is the same, and there were results to compare."""
        return bool(self.compared) and not self.rows

    @property
    def unexplained(self) -> bool:
        """Whether something differs, and nothing that was recorded says why."""
        return bool(self.rows) and not self.causes


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be reproduced, and how.

    Attributes:
        model: The model.
        number: Its version.
        twice: Make it a second time in any case, not only if the first is another one, to see what chance does.
        with_packages_of_now: Use the environments that are here, whatever the commit locks.
    """

    model: str
    number: str
    twice: bool = False
    with_packages_of_now: bool = False


def reproduce(place: Location, wish: Wish, say: Callable[[str], None]) -> Reproduction:
    """Makes a version again, a second time where that tells something.

    Args:
        place: The registry, and the local state that has the run's record.
        wish: What is to be made, and how.
        say: Receives what happens.

    Raises:
        UsageError: Something that is needed was never recorded, or is gone; says what.
        RunFailedError: The run could not begin, or the commit's packages could not be installed.
    """
    model, number = wish.model, wish.number
    found = recipe.read(place, model, number)
    root = place.workspace.root
    if gone := list(causes.of_data(found, root)):
        raise UsageError(
            f"{model} v{number} cannot be reproduced: its data is gone\n{listed(each.text for each in gone)}\n"
            "expected: the sources that its run read\nfix: restore them where they were"
        )
    say(f"{model} v{number}: run {found.run.id}, commit {found.commit[:12]}, {found.run.project}")
    if found.is_dirty:
        say("files differed from the commit when it was trained: the commit is not the whole truth")
    with checkout.checked_out(root, found.commit) as tree, tempfile.TemporaryDirectory(prefix="ct-again-") as temporary:
        homes = [Path(temporary) / "first", Path(temporary) / "second"]
        missing = rerun.with_champion(found, place, homes[0])
        known = [Cause(causes.CHAMPION, missing)] if missing else []
        pythons = locked.of_now(root) if wish.with_packages_of_now else locked.of_commit(tree, root, say)
        first = rerun.rerun(found, place, rerun.Where(tree, homes[0], pythons))
        compared = _compared(found.run, first)
        known += [*causes.of_data(found, root, first), *causes.of_tasks(found, first, homes[0])]
        second = None
        if _rows(compared) or wish.twice:
            say("a second run says what chance does")
            rerun.with_champion(found, place, homes[1])
            second = rerun.rerun(found, place, rerun.Where(tree, homes[1], pythons))
        return _judged(found, compared, known, (first, second))


def _judged(found: Recipe, compared: Comparison, known: Sequence[Cause], runs: tuple[Run, Run | None]) -> Reproduction:
    first, second = runs
    chance = {(each.section, each.name): each.second for each in _rows(_compared(first, second))} if second else {}
    rows = [_row(each, chance, second is not None) for each in _rows(compared)]
    changing = [f"{section} {name}" for section, name in chance]
    told = [Cause(causes.CHANCE, f"two runs of the same differ in {name}") for name in changing]
    failed = [task for task in first.tasks if task.state == State.FAILED and task.error]
    told += [Cause(causes.ENVIRONMENT, f"{task.name} failed now: {task.error.splitlines()[0]}") for task in failed]
    return Reproduction(found, tuple(rows), (*known, *told), compared.compared, 1 + (second is not None))


def _row(each: parity.Difference, chance: Mapping[tuple[str, str], Any], was_repeated: bool) -> Row:
    key = (each.section, each.name)
    second = chance.get(key, each.second) if was_repeated else None
    return Row(each.section, each.name, each.first, each.second, second, key in chance)


def _compared(before: Run, after: Run) -> Comparison:
    return parity.compare(run_facts.of_record(before, "then"), run_facts.of_record(after, "now"))


def _rows(compared: Comparison) -> list[parity.Difference]:
    return [each for each in compared.differences if each.decides]


def explained(found: Reproduction) -> Iterator[str]:
    """Yields what is to say of it, line by line."""
    for row in found.rows:
        second = f", {row.second} the second time" if found.runs > 1 else ""
        chance = " (by chance)" if row.by_chance else ""
        yield f"{row.section} {row.name}: {row.recorded} then, {row.again} now{second}{chance}"
    for cause in found.causes:
        yield f"{cause.kind}: {cause.text}"
    if found.recipe.is_dirty:
        yield "sources: files differed from the commit when it was trained; the commit is not the whole truth"
    if found.unexplained and not found.recipe.is_dirty:
        yield "nothing that was recorded explains it: hardware, drivers or services that the run asked"
