"""Envelopes are DSSE's, and a policy lets through only what one of its keys has signed."""

import base64
import hashlib
import json
import types

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kfp_ct.base.errors import UsageError
from kfp_ct.deploy import signed
from kfp_ct.package import signing
from kfp_ct.project.workspace import Workspace

IMAGE = "a" * 64
PACKAGE = {"deploymentSpec": {"executors": {"exec-a": {"container": {"image": f"r.example/i@sha256:{IMAGE}"}}}}}


def pem(key, path):
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = path.with_suffix(".pub")
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return public


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def delivered(tmp_path, key):
    """A repository whose prod takes signed packages only, and a package with its statement, signed."""
    (tmp_path / "infra").mkdir()
    pem(key, tmp_path / "infra/delivery.pem")
    (tmp_path / signed.POLICY).write_text("keys: [infra/delivery.pub]\nsettings: [prod]\n")
    package = tmp_path / "delivered/package.yaml"
    package.parent.mkdir()
    package.write_text("a package\n")
    attest(package, key)
    return package


def attest(package, key):
    digests = [hashlib.sha256(package.read_bytes()).hexdigest(), IMAGE]
    statement = {"subject": [{"name": "x", "digest": {"sha256": each}} for each in digests]}
    envelope = signing.envelope(json.dumps(statement).encode(), key)
    (package.parent / signed.ATTESTATION).write_text(json.dumps(envelope))


def require(package, environment="prod", compiled=PACKAGE, destination="kfp"):
    root = package.parent.parent
    chosen = types.SimpleNamespace(environment=environment)
    signed.require(Workspace(root, root / ".ct"), chosen, compiled, destination, package)


def test_what_is_signed_is_dsse_encoded():
    # The example of the specification.
    assert signing.encode("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_ecdsa_signature_is_one_of_sha256_in_der_as_cosign_has_it(key):
    found = signing.envelope(b'{"a": 1}', key)
    signature = base64.b64decode(found["signatures"][0]["sig"])
    key.public_key().verify(signature, signing.encode(found["payloadType"], b'{"a": 1}'), ec.ECDSA(hashes.SHA256()))
    assert signing.verify(found, [key.public_key()]) == {"a": 1}


def test_ed25519_signs_too_and_another_kind_of_key_is_refused(tmp_path):
    pem(ed25519.Ed25519PrivateKey.generate(), tmp_path / "ed.pem")
    found = signing.envelope(b"{}", signing.private_key(str(tmp_path / "ed.pem")))
    assert signing.verify(found, [signing.public_key(tmp_path / "ed.pub")]) == {}
    pem(rsa.generate_private_key(65537, 2048), tmp_path / "rsa.pem")
    with pytest.raises(UsageError, match="holds no key that signs"):
        signing.private_key(str(tmp_path / "rsa.pem"))


def test_a_signed_package_is_deployed_and_settings_that_ask_for_none_take_any(delivered):
    require(delivered)
    (delivered.parent / signed.ATTESTATION).unlink()
    require(delivered, "test")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda package: (package.parent / signed.ATTESTATION).unlink(), "is not signed: there is no"),
        (lambda package: attest(package, None), "has no signature"),
        (lambda package: attest(package, ec.generate_private_key(ec.SECP256R1())), "of a key that counts"),
        (lambda package: package.write_text("another package\n"), "does not name"),
        (lambda package: (package.parent / signed.ATTESTATION).write_text("{}"), "no DSSE envelope"),
        (lambda package: (package.parent / signed.ATTESTATION).write_text("no"), "no DSSE envelope"),
    ],
    ids=["no envelope", "no signature", "another key", "another package", "no fields", "no JSON"],
)
def test_anything_else_is_refused(delivered, spoil, said):
    spoil(delivered)
    with pytest.raises(UsageError, match=said):
        require(delivered)


def test_a_changed_payload_or_type_is_refused(delivered, key):
    path = delivered.parent / signed.ATTESTATION
    good = json.loads(path.read_text())
    other = base64.b64encode(base64.b64decode(good["payload"]).replace(b"x", b"y")).decode()
    for changes in ({"payload": other}, {"payloadType": "text/plain"}):
        with pytest.raises(signing.SignatureError, match="of a key that counts"):
            signing.verify({**good, **changes}, [key.public_key()])


def test_an_image_that_was_not_signed_is_refused_and_so_is_what_was_compiled_now(delivered):
    other = json.loads(json.dumps(PACKAGE).replace(IMAGE, "b" * 64))
    with pytest.raises(UsageError, match="no part of what was signed"):
        require(delivered, compiled=other)
    require(delivered, compiled=other, destination="local")  # no image is pulled there
    root = delivered.parent.parent
    with pytest.raises(UsageError, match="this one was compiled now"):
        signed.require(Workspace(root, root / ".ct"), types.SimpleNamespace(environment="prod"), PACKAGE, "kfp", None)


def test_a_policy_that_names_no_key_is_refused(delivered):
    (delivered.parent.parent / signed.POLICY).write_text("keys: []\nsettings: [prod]\n")
    with pytest.raises(UsageError, match="keys"):
        require(delivered)
