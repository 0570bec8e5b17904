"""An access token of Google Cloud for whoever runs this: the account of the task, of the build or of gcloud."""

from typing import Any

from kfp_ct.base.errors import ConfigurationError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def of_account() -> str:
    """Returns an access token, good for an hour.

    Raises:
        ConfigurationError: There are no credentials.
    """
    import google.auth
    import google.auth.transport.requests
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials: Any = google.auth.default(scopes=[_SCOPE])[0]
        credentials.refresh(google.auth.transport.requests.Request())
    except GoogleAuthError as error:
        raise ConfigurationError(
            f"no credentials for Google Cloud: {error}\nexpected: the account of the task or of gcloud\n"
            "fix: gcloud auth application-default login"
        ) from error
    return str(credentials.token)
