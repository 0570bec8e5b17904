"""Envelopes are DSSE's, and a policy lets through only what one of its keys has signed."""

import base64
import hashlib
import json
import types

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kfp_ct.base.errors import UsageError
from kfp_ct.cli import supply_chain
from kfp_ct.deploy import signed
from kfp_ct.package import signing
from kfp_ct.project import settings
from kfp_ct.project.workspace import Workspace

IMAGE, COMMIT = "a" * 64, "c" * 40
STATEMENT = json.dumps({"subject": [{"name": "x", "digest": {"sha256": IMAGE}}]}).encode()
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
    (tmp_path / "pipelines/flights/settings").mkdir(parents=True)
    (tmp_path / "pipelines/flights/settings/prod.yaml").write_text("pipeline: pipelines.training\n")
    package = tmp_path / "delivered/package.yaml"
    package.parent.mkdir()
    package.write_text("a package\n")
    attest(package, key)
    return package


def attest(package, key, commit=COMMIT):
    digests = [hashlib.sha256(package.read_bytes()).hexdigest(), IMAGE]
    system = {"systemSubstitutions": {"COMMIT_SHA": commit}}
    statement = {"subject": [{"name": "x", "digest": {"sha256": each}} for each in digests]}
    statement |= {"predicate": {"buildDefinition": {"internalParameters": system}}}
    envelope = signing.envelope(json.dumps(statement).encode(), key)
    (package.parent / signed.ATTESTATION).write_text(json.dumps(envelope))


def _key(package):
    return signing.private_key(str(package.parent.parent / "infra/delivery.pem"))


def _of_an_older_commit(package):
    attest(package, _key(package), "b" * 40)


def _of_no_commit(package):
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    statement = json.dumps({"subject": [{"name": "x", "digest": {"sha256": digest}}]})
    (package.parent / signed.ATTESTATION).write_text(json.dumps(signing.envelope(statement.encode(), _key(package))))


def require(package, environment="prod", compiled=PACKAGE, destination="kfp"):
    root = package.parent.parent
    chosen = types.SimpleNamespace(environment=environment)
    signed.require(Workspace(root, root / ".ct"), chosen, compiled, signed.Deployed(destination, package, COMMIT))


def test_what_is_signed_is_dsse_encoded():
    # The example of the specification.
    assert signing.encode("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_ecdsa_signature_is_one_of_sha256_in_der_as_cosign_has_it(key):
    found = signing.envelope(STATEMENT, key)
    signature = base64.b64decode(found["signatures"][0]["sig"])
    key.public_key().verify(signature, signing.encode(found["payloadType"], STATEMENT), ec.ECDSA(hashes.SHA256()))
    assert signing.verify(found, [key.public_key()]) == json.loads(STATEMENT)


def test_ed25519_signs_too_and_another_kind_of_key_is_refused(tmp_path):
    pem(ed25519.Ed25519PrivateKey.generate(), tmp_path / "ed.pem")
    found = signing.envelope(STATEMENT, signing.private_key(str(tmp_path / "ed.pem")))
    assert signing.verify(found, [signing.public_key(tmp_path / "ed.pub")]) == json.loads(STATEMENT)
    for other in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        pem(other, tmp_path / "other.pem")
        with pytest.raises(UsageError, match="holds no key that signs"):
            signing.private_key(str(tmp_path / "other.pem"))
    with pytest.raises(UsageError, match="it is empty, or not set"):
        signing.private_key("env:SIGNING_KEY_THAT_NOBODY_SET")


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
        (_of_an_older_commit, "was built of the commit bbbbb"),
        (_of_no_commit, "does not say of which commit"),
        (lambda package: (package.parent / signed.ATTESTATION).write_text("{}"), "no DSSE envelope"),
        (lambda package: (package.parent / signed.ATTESTATION).write_text("no"), "no DSSE envelope"),
    ],
    ids=[
        "no envelope",
        "no signature",
        "another key",
        "another package",
        "an older commit",
        "no commit",
        "no fields",
        "no JSON",
    ],
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
    now = signed.Deployed("kfp", None, COMMIT)
    with pytest.raises(UsageError, match="this one was compiled now"):
        signed.require(Workspace(root, root / ".ct"), types.SimpleNamespace(environment="prod"), PACKAGE, now)


def test_a_policy_that_names_no_key_is_refused(delivered):
    (delivered.parent.parent / signed.POLICY).write_text("keys: []\nsettings: [prod]\n")
    with pytest.raises(UsageError, match="keys"):
        require(delivered)


@pytest.mark.parametrize("payload", [b"x", b"[1]", b'{"subject": []}', b'{"subject": [1]}', b'{"subject": [{}]}'])
def test_what_is_no_statement_is_neither_signed_nor_taken(delivered, key, payload):
    (delivered.parent / signed.ATTESTATION).write_text(json.dumps(signing.envelope(payload, key)))
    with pytest.raises(UsageError, match="it is no in-toto statement"):
        require(delivered)
    pem(key, delivered.parent / "own.pem")
    (delivered.parent / "provenance.json").write_bytes(payload)
    with pytest.raises(UsageError, match="it is no in-toto statement"):
        supply_chain.sign(delivered.parent / "provenance.json", str(delivered.parent / "own.pem"))


def test_a_policy_of_settings_that_no_project_has_is_refused(delivered):
    (delivered.parent.parent / signed.POLICY).write_text("keys: [infra/delivery.pub]\nsettings: [prdo]\n")
    with pytest.raises(UsageError, match=r"(?s)no project has.*prdo did you mean prod\?.*fix: edit"):
        require(delivered)


def test_settings_go_by_the_name_that_the_policy_has_for_them(delivered):
    """No other way to write it passes by the policy."""
    root = delivered.parent.parent
    for name in ("./prod", "../settings/prod", "", "."):
        with pytest.raises(UsageError, match="settings are named by a name"):
            settings.load(Workspace(root, root / ".ct"), "flights", name, {})
    with pytest.raises(UsageError, match="a project is named by a name"):
        settings.load(Workspace(root, root / ".ct"), "./flights", "prod", {})


def test_the_fix_for_a_key_that_is_not_public_does_not_write_over_it(delivered):
    with pytest.raises(UsageError, match=r"pubout -out PUBLIC\.pub"):
        signing.public_key(delivered.parent.parent / "infra/delivery.pem")
