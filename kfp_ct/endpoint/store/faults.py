"""Refusals of the API, in the form of KFP's gateway: an HTTP status, a gRPC code and a message for a person.

Source: google/rpc/code.proto and its mapping to HTTP.
"""

from typing import Any

from kfp_ct.base import redaction, secrets
from kfp_ct.package.backend_limits import LONGEST_DESCRIPTION

INVALID, NOT_FOUND, EXISTS, DENIED, PRECONDITION, UNAUTHENTICATED = 3, 5, 6, 7, 9, 16
INTERNAL, UNAVAILABLE = 13, 14
_STATUS = {
    INVALID: 400, NOT_FOUND: 404, EXISTS: 409, DENIED: 403, PRECONDITION: 400, UNAUTHENTICATED: 401, INTERNAL: 500,
    UNAVAILABLE: 503,
}  # fmt: skip


class Fault(Exception):
    """A request that is refused.

    Attributes:
        code: gRPC status code.
        message: What is wrong, for a person.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = redaction.redact(message.encode(errors="replace").decode())
        super().__init__(self.message)

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return _STATUS.get(self.code, 500)

    @property
    def body(self) -> dict[str, Any]:
        """The body of the answer, as google.rpc.Status has it."""
        return {"error": self.message, "code": self.code, "message": self.message, "details": []}


def invalid(message: str) -> Fault:
    """A request that no state of the endpoint would make right."""
    return Fault(INVALID, message)


def check_name(kind: str, name: str, longest: int = 128) -> str:
    """Returns a name that can be one.

    Raises:
        Fault: It is empty, too long, or cannot be printed.
    """
    if not name.strip() or len(name) > longest or not name.isprintable():
        raise invalid(f"{name[:40]!r} is no {kind} name: expected 1 to {longest} printable characters")
    return check_text(f"the name of this {kind}", name)


def check_description(kind: str, text: str) -> str:
    """Returns a description that KFP's default database, MySQL, has room for.

    Raises:
        Fault: It is longer.
    """
    if len(text) > LONGEST_DESCRIPTION:
        raise invalid(
            f"the description of this {kind} has {len(text)} characters: KFP's database takes {LONGEST_DESCRIPTION}"
        )
    return check_text(f"the description of this {kind}", text)


def check_text(where: str, text: str, longest: int | None = None) -> str:
    """Returns a text that lists and pages may show, and that KFP's database has room for.

    Raises:
        Fault: It holds a secret in the clear, or is longer.
    """
    if longest is not None and len(text) > longest:
        raise invalid(f"{where} has {len(text)} characters: KFP's database takes {longest}")
    if secrets.in_the_clear(text):
        raise invalid(f"{where}{secrets.IN_THE_CLEAR}")
    return text


def not_found(kind: str, which: str) -> Fault:
    """Something asked for by an id or a name that nothing has."""
    return Fault(NOT_FOUND, f"there is no {kind} {which!r}")


def exists(kind: str, name: str) -> Fault:
    """Something that is to be created and is there already."""
    return Fault(EXISTS, f"there is a {kind} named {name!r} already: names are unique")


def precondition(message: str) -> Fault:
    """A request that the state of what it is about does not allow."""
    return Fault(PRECONDITION, message)
