"""Errors of the `ct` command and the exit codes they map to."""


class CtError(Exception):
    """Something went wrong that its user can mend; the message says what, where, what was expected and how.

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


class RunTimeoutError(CtError):
    """A run was not at its end when it was no longer waited for; it goes on."""

    exit_code = 124
