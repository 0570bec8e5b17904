"""Errors that a user can mend, and how a component reports them without a traceback."""

import contextlib
import sys
from collections.abc import Iterator

from components import log

# Distinct from 1, which is a defect (an unforeseen exception).
USER_ERROR_EXIT_CODE = 2


class ComponentError(Exception):
    """A step cannot go on for a reason its user can mend.

    The message's first line says what is wrong and where; further lines say what was expected and the
    command or edit that mends it.
    """


class ConfigurationError(ComponentError):
    """A parameter, a module or a file that the user wrote does not fit."""


class DataError(ComponentError):
    """The data is missing, unreadable or not what the schema says."""


class AnomaliesFoundError(DataError):
    """The data-validation gate said no."""


class TrainingError(ComponentError):
    """Training could not produce a usable model."""


class ModelNotBlessedError(ComponentError):
    """Something asked for a blessing that this model does not have."""


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turns a `ComponentError` into one message on standard error and exit code 2."""
    try:
        yield
    except ComponentError as error:
        log.error(str(error))
        sys.exit(USER_ERROR_EXIT_CODE)
