"""Errors that a user can fix, and the exit codes they map to.

    CtError                    1
    ├── UsageError             2    a name, a setting or a file that the user gave does not fit; nothing was started
    ├── PackageError           3    a compiled package that a backend would refuse
    ├── RunFailedError         4    a run stopped before its end
    ├── TargetError            7    a service that pipelines are deployed to refuses, fails or does not answer
    │   └── RequestRefusedError     it refuses, or is another service: asking again changes nothing
    ├── RunTimeoutError        124  a run was not at its end when it was no longer waited for; it goes on
    └── ComponentError         2    a step cannot go on
        ├── ConfigurationError      a parameter, a module or a file that the user wrote does not fit
        ├── NotServedError          what serves models did not take a version
        ├── DataError               the data is missing, unreadable or not what the schema says
        │   └── AnomaliesFoundError the data-validation gate said no
        ├── TrainingError           training could not produce a usable model
        └── ModelNotBlessedError    something asked for a blessing that this model does not have

Exit code 1 is also that of a defect (an unforeseen exception), 5 that of a machine that cannot run what was asked,
6 that of a scan without a verdict. A message's first line says what is wrong and where; further lines say what was
expected and the command or edit that fixes it.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator


def listed(problems: Iterable[object]) -> str:
    """Returns a line for each problem, as messages have them under their first line."""
    return "\n".join(f"- {problem}" for problem in problems)


class CtError(Exception):
    """Something went wrong that its user can fix.

    Attributes:
        exit_code: What the command exits with.
    """

    exit_code = 1


class UsageError(CtError):
    """A name, a setting or a file that the user gave does not fit; nothing was started."""

    exit_code = 2


class PackageError(CtError):
    """A compiled package that a backend would refuse."""

    exit_code = 3


class RunFailedError(CtError):
    """A run stopped before its end."""

    exit_code = 4


class TargetError(CtError):
    """A service that pipelines are deployed to refuses, fails or does not answer."""

    exit_code = 7


class RequestRefusedError(TargetError):
    """A service refuses a request, or is another one than was meant: asking again changes nothing."""


class RunTimeoutError(CtError):
    """A run was not at its end when it was no longer waited for; it goes on."""

    exit_code = 124


class ComponentError(CtError):
    """A step cannot go on for a reason its user can fix."""

    exit_code = 2


class ConfigurationError(ComponentError):
    """A parameter, a module or a file that the user wrote does not fit."""


class DataError(ComponentError):
    """The data is missing, unreadable or not what the schema says."""


class AnomaliesFoundError(DataError):
    """The data-validation gate said no."""


class TrainingError(ComponentError):
    """Training could not produce a usable model."""


class NotServedError(ComponentError):
    """What serves models did not take a version; it answers with what it answered with before."""


class ModelNotBlessedError(ComponentError):
    """Something asked for a blessing that this model does not have."""


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turns a `ComponentError` into one message on standard error and its exit code; no secret is printed."""
    # Imported here: the prediction service has these errors, and no steps that report them.
    from kfp_ct.base import redaction, task_log

    streams = sys.stdout, sys.stderr
    redaction.guard_streams()  # and stays where something unforeseen ends the step, for its traceback
    try:
        yield
        sys.stdout, sys.stderr = streams
    except ComponentError as error:
        task_log.error(str(error))
        sys.stdout, sys.stderr = streams
        sys.exit(error.exit_code)
