"""What is wrong with a build configuration, and on which line."""

import dataclasses
from collections.abc import Iterable

from kfp_ct.base.errors import UsageError


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """One finding.

    Attributes:
        line: Line of the file, from 1.
        message: What is wrong there, and what was expected.
        fatal: Whether Cloud Build would refuse the build; else it is only worth knowing.
        by: Who would refuse it nevertheless, where one way of starting a build takes what another does not.
    """

    line: int
    message: str
    fatal: bool = True
    by: str = ""


class Findings:
    """Collects problems while a file is examined."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def error(self, line: int, message: str) -> None:
        """Notes what Cloud Build would refuse."""
        self._found.append(Problem(line, message))

    def warning(self, line: int, message: str, by: str = "") -> None:
        """Notes what is worth knowing, or refused by one way of starting a build only."""
        self._found.append(Problem(line, message, fatal=False, by=by))

    @property
    def all(self) -> list[Problem]:
        """Everything, by line."""
        return sorted(set(self._found))

    @property
    def errors(self) -> list[Problem]:
        """What Cloud Build would refuse, by line."""
        return [problem for problem in self.all if problem.fatal]


class InvalidBuildError(UsageError):
    """A build configuration that Cloud Build would refuse; nothing was started."""


def refuse(path: str, problems: Iterable[Problem]) -> InvalidBuildError:
    """Returns the error that names every line."""
    problems = list(problems)
    lines = [f"{path}:{problem.line}: {problem.message}" for problem in problems]
    count = "one thing" if len(problems) == 1 else f"{len(problems)} things"
    return InvalidBuildError("\n".join([f"{path}: Cloud Build would refuse {count} in it", *lines]))
