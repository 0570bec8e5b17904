"""The trigger service: tokens held to all they have to say, events stored in Cloud Storage, runs started once."""

import base64
import contextlib
import dataclasses
import datetime
import http.server
import json
import threading
import time

import pytest
import requests
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

import cloud_storage
import loopback_http
import recording_proxy
import service_watches
from depth import deep
from kfp_ct.base.errors import TargetError
from kfp_ct.storage import storage
from kfp_ct.watch import http_service, service_history, service_receive
from kfp_ct.watch.oidc import Expected, UnauthenticatedError, Verifier
from local_endpoint import until
from service_watches import later, opened, runs_of

AUDIENCE, SENDER, OTHER = "https://triggers.example", "push@p.iam.gserviceaccount.com", "x@p.iam.gserviceaccount.com"
PUSH = {"message": {"messageId": "7", "data": base64.b64encode(b'{"cause": "data is there"}').decode()}}


class Signer:
    """A key with its certificate, as Google publishes them."""

    def __init__(self, name):
        self.name, self.key = name, rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
        builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        certificate = builder.sign(self.key, hashes.SHA256())
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def token(self, **changes):
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": SENDER, "email_verified": True,
            "iat": now, "exp": now + 600, **changes,
        }  # fmt: skip
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signer = crypt.RSASigner.from_string(pem, self.name)
        return jwt.encode(signer, {name: value for name, value in claims.items() if value is not None}).decode()


@pytest.fixture(scope="module")
def signer():
    return Signer("one")


@pytest.fixture(scope="module")
def forger():
    return Signer("one")


@contextlib.contextmanager
def certificates(*signers):
    """Serves certificates; yields the address and what was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({each.name: each.certificate for each in signers}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Says nothing."""

    with loopback_http.serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/certs", asked


def verifier(url, clock=time.monotonic):
    return Verifier(Expected(AUDIENCE, frozenset({SENDER}), url), clock)


def test_a_token_of_an_expected_sender_is_taken_and_certificates_are_fetched_once(signer):
    with certificates(signer) as (url, asked):
        verify = verifier(url).verify
        assert {verify(f"Bearer {signer.token()}") for _ in range(3)} == {SENDER}
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "https://other.example"}, "not valid"),
        ({"aud": None}, "not valid"),
        ({"iss": "https://issuer.example"}, "issuer is not Google"),
        ({"iss": None}, "issuer is not Google"),
        ({"exp": -60, "iat": -600}, "not valid"),
        ({"iat": 600, "exp": 900}, "not valid"),
        ({"exp": None}, "not valid"),
        ({"email": OTHER}, "may not send"),
        ({"email": None}, "may not send"),
        ({"email_verified": False}, "may not send"),
        ({"email_verified": "true"}, "may not send"),
    ],
)
def test_a_token_that_says_anything_else_is_refused(signer, changes, said):
    now = int(time.time())
    changes = {name: now + value if type(value) is int else value for name, value in changes.items()}
    with certificates(signer) as (url, _), pytest.raises(UnauthenticatedError, match=said):
        verifier(url).verify(f"Bearer {signer.token(**changes)}")


def test_a_token_of_another_key_or_none_or_a_changed_one_is_refused(signer, forger):
    head, claims, signature = signer.token().split(".")
    other = base64.urlsafe_b64encode(json.dumps({"email": SENDER, "aud": AUDIENCE}).encode()).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg": "none", "kid": "one"}').decode().rstrip("=")
    bad = [forger.token(), f"{head}.{other}.{signature}", f"{unsigned}.{claims}.", f"{head}.{claims}.", "x", "a.b.c"]
    with certificates(signer) as (url, asked):
        verify = verifier(url).verify
        for token in bad:
            with pytest.raises(UnauthenticatedError):
                verify(f"Bearer {token}")
        for header in ("", "Bearer", "Basic eDp5", signer.token()):
            with pytest.raises(UnauthenticatedError, match="Authorization: Bearer"):
                verify(header)
        assert len(asked) == 1, "bad tokens make no flood of requests"


def test_a_token_whose_signature_cloud_run_took_out_is_taken_behind_its_iam_alone(signer):
    def taken_out(**changes):
        return f"Bearer {signer.token(**changes).rpartition('.')[0]}.SIGNATURE_REMOVED_BY_GOOGLE"

    behind = Verifier(Expected(AUDIENCE, frozenset({SENDER}), "http://127.0.0.1:9/never", behind_iam=True))
    assert behind.verify(taken_out()) == SENDER
    past = int(time.time()) - 60
    for changes in ({"aud": "https://other.example"}, {"exp": past}, {"exp": None}, {"email": OTHER}, {"iss": "x"}):
        with pytest.raises(UnauthenticatedError):
            behind.verify(taken_out(**changes))
    with pytest.raises(UnauthenticatedError, match="cannot be read"):
        behind.verify("Bearer x.y.SIGNATURE_REMOVED_BY_GOOGLE")
    with pytest.raises(UnauthenticatedError, match="--behind-iam"):
        verifier("http://127.0.0.1:9/never").verify(taken_out())


def test_a_new_key_is_known_within_a_minute_and_an_outage_is_no_refusal(signer):
    newer, now = Signer("two"), [0.0]
    with certificates(signer) as (url, _):
        verify = verifier(url, lambda: now[0]).verify
        verify(f"Bearer {signer.token()}")
        with pytest.raises(UnauthenticatedError):
            verify(f"Bearer {newer.token()}")
    now[0] = 61.0
    with pytest.raises(TargetError, match="cannot be fetched"):
        verify(f"Bearer {newer.token()}")
    with certificates(signer, newer) as (other, _):
        found = verifier(other, lambda: now[0])
        assert found.verify(f"Bearer {newer.token()}") == SENDER


class Client:
    """Speaks to a service at an address."""

    def __init__(self, url):
        self.url = url

    def get(self, path):
        return requests.get(f"{self.url}{path}", timeout=60)

    def post(self, path, **options):
        return requests.post(f"{self.url}{path}", timeout=60, **options)


@contextlib.contextmanager
def serving(app):
    """Serves an application on loopback."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield Client(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def bucket():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_CLOUD_PROJECT", "test")
        with cloud_storage.running() as made:
            yield made


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    with (
        service_watches.endpoint(tmp_path_factory.mktemp("endpoint")) as url,
        recording_proxy.recording(url) as proxy,
    ):
        yield proxy


@pytest.fixture
def project(tmp_path):
    return service_watches.make(tmp_path)


def in_bucket(watched, bucket):
    return dataclasses.replace(watched, state=f"gs://{bucket.name}/{watched.settings.pipeline_name}.json")


@pytest.fixture
def watched(project, proxy, tmp_path, bucket):
    return in_bucket(service_watches.deployed(project, proxy.url, tmp_path), bucket)


def push(watched, number="7", now=None):
    body = json.dumps({"message": {**PUSH["message"], "messageId": number}}).encode()
    return service_receive.handle(watched, body, {}, now)


def test_requests_without_a_token_change_nothing_and_a_push_starts_one_run(watched, signer, bucket):
    with certificates(signer) as (url, _), contextlib.ExitStack() as stack:
        client = stack.enter_context(serving(http_service.application(watched, verifier(url))))
        token = {"Authorization": f"Bearer {signer.token()}"}
        assert client.get("/livez").status_code == 200
        for header in ({}, {"Authorization": f"Bearer {signer.token(aud='other')}"}):
            assert client.post("/", json=PUSH, headers=header).status_code == 401
            assert client.post("/look", headers=header).status_code == 401
        assert not list(bucket.list_blobs(prefix=watched.settings.pipeline_name))
        answer = client.post("/", json=PUSH, headers=token)
        assert (answer.status_code, answer.json()["decision"]) == (202, "fire")
        again = client.post("/", json=PUSH, headers=token)
        assert (again.status_code, again.json()["decision"]) == (200, "hold")
        assert client.post("/look", headers=token).status_code == 200
        assert client.post("/", data=b"nonsense", headers=token).status_code == 400
    assert len(runs_of(watched)) == 1


def test_what_starts_no_run_is_acknowledged_to_who_would_repeat_it(watched):
    event = json.dumps({"message": {"messageId": "8", "data": base64.b64encode(b"{}").decode()}}).encode()
    assert service_receive.handle(watched, event, {})[0] == 200
    assert service_receive.handle(watched, b'{"job": "nobody waits for"}', {})[0] == 400
    assert runs_of(watched) == []


def test_an_outage_is_answered_so_that_the_event_comes_again(watched, proxy):
    proxy.before = lambda exchange: (503, b"{}")
    assert push(watched)[0] == 503
    proxy.before = lambda exchange: None
    assert push(watched)[0] == 202
    assert len(runs_of(watched)) == 1


class Killed(BaseException):
    """Ends an instance between two calls: no code of ours handles it, so nothing is tidied up."""


def _cut(patch, watched, place):
    """Has the instance end at a place: before its first call of the store or the service, after it, and so on."""
    passed = []

    def reach():
        passed.append(None)
        if len(passed) == place + 1:
            raise Killed

    def cut(function):
        def call(*arguments, **options):
            reach()
            found = function(*arguments, **options)
            reach()
            return found

        return call

    for owner, names in [
        (storage, ("read", "create", "replace", "delete", "list_folder")),
        (watched.runs, ("active", "named", "start")),
        (watched.service, ("pipeline", "latest")),
    ]:
        for name in names:
            patch.setattr(owner, name, cut(getattr(owner, name)))


@pytest.mark.usefixtures("watched")
def test_ended_between_any_two_calls_the_event_that_comes_again_is_one_run(project, proxy, bucket, monkeypatch):
    policy = {"daily_budget": 1000, "triggers": [service_watches.ON_DEMAND]}
    (project.root / "pipelines/small/triggers.yaml").write_text(json.dumps(policy))
    # Nobody looks at its thousand requests: they go past the proxy.
    watched = in_bucket(opened(project, f"http://{proxy.behind}"), bucket)
    for rounds, place in enumerate(range(0, 200, 1 if deep() else 4)):
        with monkeypatch.context() as patch:
            _cut(patch, watched, place)
            try:
                push(watched, str(place))
                break
            except Killed:
                pass
        push(watched, str(place))  # not acknowledged, it is delivered again
        push(watched, str(place), later(5))  # and again, when whoever was killed cannot be about to go on
        (run,) = runs_of(watched)
        claims = service_history.read(watched.state).claims
        assert (len(claims), claims[-1].run) == (rounds + 1, run.id), place
        watched.runs.cancel(run.id)
        push(watched, str(place), later(10))
        assert runs_of(watched) == [], place
    assert place > 20, "it was ended at so many places"


def test_two_instances_at_once_start_one_run(watched, project, proxy, bucket):
    answers = []
    there = [in_bucket(opened(project, proxy.url), bucket) for _ in range(2)]
    threads = [threading.Thread(target=lambda each=each: answers.append(push(each))) for each in there]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(status for status, _ in answers) == [200, 202]
    assert len(runs_of(watched)) == 1
