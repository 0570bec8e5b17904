"""Signed statements: DSSE envelopes with ECDSA or Ed25519 keys in PEM, as cosign writes and verifies them.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

import base64
import binascii
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_ct.base.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_FROM_ENVIRONMENT = "env:"


class SignatureError(UsageError):
    """A statement is not signed by a key that counts."""


def encode(kind: str, payload: bytes) -> bytes:
    """Returns what is signed: DSSE's pre-authentication encoding of a payload and its type."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)


def envelope(payload: bytes, key: "PrivateKeyTypes | None") -> dict[str, Any]:
    """Returns a payload signed; without a key it has no signature, and nobody who asks for one takes it."""
    signatures = []
    if key is not None:
        signature = _sign(key, encode(PAYLOAD_TYPE, payload))
        signatures = [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}]
    return {
        "payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signatures
    }  # fmt: skip


def verify(found: Any, keys: Iterable["PublicKeyTypes"]) -> dict[str, Any]:
    """Returns the statement of an envelope that one of some keys has signed.

    Raises:
        SignatureError: None has, or it is no envelope of an in-toto statement.
    """
    try:
        payload, kind = base64.b64decode(found["payload"], validate=True), str(found["payloadType"])
        signatures = [base64.b64decode(each["sig"], validate=True) for each in found["signatures"]]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise SignatureError(f"it is no DSSE envelope: {error!r}\nexpected: what `ct images sign` writes") from error
    if not signatures:
        raise SignatureError("it has no signature\nfix: name a key: ct images sign --key FILE")
    known = list(keys)
    if kind != PAYLOAD_TYPE or not any(
        _is_of(key, each, encode(kind, payload)) for key in known for each in signatures
    ):
        raise SignatureError(
            f"none of its {len(signatures)} signatures is of a key that counts\n"
            f"expected: one of {', '.join(key_id(key)[:12] for key in known)}"
        )
    return statement(payload)


def statement(payload: bytes) -> dict[str, Any]:
    """Returns an in-toto statement from its JSON.

    Raises:
        SignatureError: It is none, or does not say by digest what it is about.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(payload)
        if found["subject"] and all(isinstance(each["digest"]["sha256"], str) for each in found["subject"]):
            return dict(found)
    raise SignatureError(
        "it is no in-toto statement, which names what it is about by its SHA-256\n"
        "expected: what `ct images provenance` writes\nfix: sign that"
    )


def key_id(key: "PublicKeyTypes") -> str:
    """Returns the name of a public key: the SHA-256 of its DER."""
    from cryptography.hazmat.primitives import serialization as forms

    return hashlib.sha256(key.public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def private_key(reference: str) -> "PrivateKeyTypes":
    """Reads a private key.

    Args:
        reference: A file of PEM, or env:NAME for a variable that has the PEM.

    Raises:
        UsageError: There is none, it has a password, or is of another kind.
    """
    from cryptography.hazmat.primitives import serialization

    name = reference.removeprefix(_FROM_ENVIRONMENT)
    text = os.environ.get(name, "").encode() if reference != name else _bytes(Path(reference))
    try:
        if not text:
            raise ValueError("it is empty, or not set")
        key = serialization.load_pem_private_key(text, None)
        _sign(key, b"")
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{reference} holds no key that signs: {str(error).splitlines()[0]}\n"
            "expected: PEM of an ECDSA P-256 or Ed25519 key without a password\n"
            "fix: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.pem"
        ) from None
    return key


def public_key(path: Path) -> "PublicKeyTypes":
    """Reads a public key.

    Raises:
        UsageError: There is none.
    """
    from cryptography.hazmat.primitives import serialization

    try:
        return serialization.load_pem_public_key(_bytes(path))
    except ValueError as error:
        raise UsageError(
            f"{path} is no public key\nexpected: PEM\n"
            "fix: openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pub, and name that"
        ) from error


def subjects(statement: Mapping[str, Any]) -> frozenset[str]:
    """Returns the SHA-256 of everything that a statement is about."""
    return frozenset(str(each["digest"]["sha256"]) for each in statement["subject"])


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"there is no key {path}")
    return path.read_bytes()


def _sign(key: Any, data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    curve = f" of {key.curve.name}" if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    raise ValueError(f"{type(key).__name__}{curve} is not supported")


def _is_of(key: Any, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True
