"""Who may ask: a token that every caller sends, if the service was started with one."""

import hmac

from kfp_ct.serving.errors import UnauthenticatedError

_SCHEME = "bearer "


def check(authorization: str | None, token: str | None) -> None:
    """Demands the token in an Authorization header.

    Raises:
        UnauthenticatedError: It is not there, or another one.
    """
    if token is None:
        return
    given = authorization or ""
    matches = hmac.compare_digest(given[len(_SCHEME) :].encode(errors="replace"), token.encode())
    if given[: len(_SCHEME)].lower() != _SCHEME or not matches:
        raise UnauthenticatedError("the token is missing or wrong\nexpected: a header Authorization: Bearer TOKEN")
