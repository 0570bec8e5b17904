"""An access token of Google Cloud for whoever runs this: the account of the task, of the build or of gcloud."""

from typing import Any

from kfp_ct.cloud import rest


def of_account() -> str:
    """Returns an access token, good for an hour.

    Raises:
        ConfigurationError: There are no credentials.
    """
    import google.auth
    import google.auth.transport.requests
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials: Any = google.auth.default(scopes=[rest.EVERYTHING])[0]
        credentials.refresh(google.auth.transport.requests.Request())
    except GoogleAuthError as error:
        raise rest.no_credentials(error) from error
    return str(credentials.token)
