"""Verifies the ID tokens that Google signs for pushes: signature, audience, issuer, expiry, and whose token it is.

Cloud Run's IAM verifies the signature itself and takes it out before the container sees the token, so that nobody can
send the token on; there the rest is verified here.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
https://cloud.google.com/run/docs/troubleshooting#signature-removed
"""

import dataclasses
import http.client
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kfp_ct.base.errors import TargetError

CERTIFICATES = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
# Clocks differ by seconds; certificates are changed every few days, and known before they are used.
_SKEW_SECONDS = 10
_KEPT_SECONDS, _SOONEST_SECONDS = 3600.0, 60.0
_OK = 200
# What Cloud Run writes in place of a signature that it has verified.
_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


class UnauthenticatedError(Exception):
    """A request does not show that its sender may start runs."""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a token has to say.

    Attributes:
        audience: For whom it was signed: what the push subscription, or the scheduler's job, names.
        senders: E-mail addresses of the service accounts that may send.
        certificates: Where the signers' certificates are.
        behind_iam: Whether Cloud Run lets nobody in without roles/run.invoker, and so has verified each signature; a
            token whose signature it took out is refused otherwise.
    """

    audience: str
    senders: frozenset[str]
    certificates: str = CERTIFICATES
    behind_iam: bool = False


class Verifier:
    """Verifies tokens by certificates that it keeps for an hour."""

    def __init__(self, expected: Expected, clock: Callable[[], float] = time.monotonic) -> None:
        self._expected, self._clock = expected, clock
        self._lock = threading.Lock()
        self._kept: tuple[float, Any] | None = None

    def verify(self, authorization: str) -> str:
        """Returns whose token a header `Authorization` has.

        Raises:
            UnauthenticatedError: There is none, or it is not one that is expected here.
            TargetError: The certificates cannot be fetched.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError("expected the header Authorization: Bearer <ID token>")
        claims = self._claims(token.strip())
        if claims.get("iss") not in ISSUERS:
            raise UnauthenticatedError("the token's issuer is not Google")
        sender = str(claims.get("email", ""))
        if claims.get("email_verified") is not True or sender not in self._expected.senders:
            raise UnauthenticatedError("the token is of an account that may not send here")
        return sender

    def _claims(self, token: str) -> Mapping[str, Any]:
        if token.endswith(f".{_REMOVED}"):
            return self._of_cloud_run(token)
        try:
            return self._decoded(token, self._certificates(_KEPT_SECONDS))
        except UnauthenticatedError:
            # Signed by a key that is newer than what is kept? A flood of bad tokens makes no flood of requests.
            before = self._kept
            certificates = self._certificates(_SOONEST_SECONDS)
            if before == self._kept:
                raise
            return self._decoded(token, certificates)

    def _of_cloud_run(self, token: str) -> Mapping[str, Any]:
        from google.auth import exceptions, jwt

        if not self._expected.behind_iam:
            raise UnauthenticatedError(
                "the token has no signature, and --behind-iam does not say that Cloud Run took it"
            )
        try:
            found: Mapping[str, Any] = jwt.decode(token, verify=False)  # type: ignore[no-untyped-call]
            ends = float(found["exp"])
        except (ValueError, KeyError, TypeError, exceptions.GoogleAuthError) as error:
            raise UnauthenticatedError("the token is not valid: it cannot be read") from error
        if found.get("aud") != self._expected.audience or ends < time.time() - _SKEW_SECONDS:
            raise UnauthenticatedError("the token is not valid: it is for somebody else, or has expired")
        return found

    def _decoded(self, token: str, certificates: Any) -> Mapping[str, Any]:
        from google.auth import exceptions, jwt

        try:
            found: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                token, certificates, audience=self._expected.audience, clock_skew_in_seconds=_SKEW_SECONDS
            )
        except (ValueError, exceptions.GoogleAuthError) as error:
            raise UnauthenticatedError(f"the token is not valid: {str(error).partition(',')[0]}") from error
        return found

    def _certificates(self, seconds: float) -> Any:
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] >= seconds:
                self._kept = (self._clock(), self._fetched())
            return self._kept[1]

    def _fetched(self) -> Any:
        import requests

        url = self._expected.certificates
        try:
            answer = requests.get(url, timeout=10)
            if answer.status_code == _OK:
                return answer.json()
            problem = http.client.responses.get(answer.status_code, str(answer.status_code))
        except (requests.RequestException, ValueError) as error:
            problem = type(error).__name__
        raise TargetError(f"the certificates at {url} cannot be fetched: {problem}")
