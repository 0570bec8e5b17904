"""What asking Google Cloud by REST takes: a session that signs as whoever runs this, and what an answer refuses."""

import functools
from typing import Any

from kfp_ct.base.errors import ConfigurationError

EVERYTHING = "https://www.googleapis.com/auth/cloud-platform"


@functools.cache
def session(anonymous: bool, scope: str = EVERYTHING) -> Any:
    """Returns a session with the account of the task; without one for a listener on this machine.

    Raises:
        ConfigurationError: There are no credentials.
    """
    import requests

    if anonymous:
        return requests.Session()
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    try:
        return AuthorizedSession(google.auth.default(scopes=[scope])[0])  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        raise no_credentials(error) from error


def no_credentials(error: Exception) -> ConfigurationError:
    """Returns the error that says that nobody is signed in."""
    return ConfigurationError(
        f"no credentials for Google Cloud: {error}\nexpected: the account of the task or of gcloud\n"
        "fix: gcloud auth application-default login"
    )


def message(answer: Any) -> str:
    """Returns why an answer of Google's APIs refuses what was asked."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.text[:200] or answer.reason)
