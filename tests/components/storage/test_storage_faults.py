"""A bad network before a real SeaweedFS: nothing half written, nothing written twice, messages that say what to do."""

import pytest

import faulty_proxy
import seaweedfs
from faulty_proxy import CUT_REQUEST, LOSE_ANSWER, Answer, times
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.storage import obstore_store, storage

POINTER = "s3://data/pointer.json"


@pytest.fixture(scope="module")
def running():
    with seaweedfs.running() as store, faulty_proxy.before(store.url) as proxy:
        yield store, proxy


@pytest.fixture
def proxy(running, monkeypatch):
    store, proxy = running
    proxy.heal()
    for name, value in store.environment(url=proxy.url).items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.heal()
    for item in storage.list_folder("s3://data/"):
        storage.delete(item.uri)


def puts(asked):
    return asked.method == "PUT"


def test_an_upload_that_is_cut_is_done_again_and_whole(proxy):
    proxy.fault = times(2, CUT_REQUEST, puts)
    storage.write("s3://data/model", b"x" * 1_000_000)
    assert storage.stat("s3://data/model").size == 1_000_000


def test_an_upload_that_is_always_cut_leaves_what_was_there(proxy):
    storage.write("s3://data/model", b"old")
    proxy.fault = lambda asked: CUT_REQUEST if puts(asked) else None
    with pytest.raises(ComponentError, match="does not answer for s3://data/model"):
        storage.write("s3://data/model", b"x" * 100_000)
    assert storage.read("s3://data/model").data == b"old"


def test_a_large_upload_whose_parts_fail_leaves_no_object(proxy, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * 12_000_000)
    proxy.fault = lambda asked: (
        Answer.s3(403, "AccessDenied") if puts(asked) and "partNumber=2" in asked.query else None
    )
    with pytest.raises(ConfigurationError, match="may not be written"):
        storage.write("s3://data/large", tmp_path / "large")
    assert storage.read("s3://data/large") is None
    assert any(asked.method == "DELETE" and "uploadId" in asked.query for asked in proxy.asked), "no parts stay behind"


def test_a_lost_answer_to_a_conditional_write_is_told_by_reading(proxy):
    proxy.fault = times(1, LOSE_ANSWER, puts)
    assert not storage.create(POINTER, b"one"), "the second try finds what the first one wrote"
    assert storage.read(POINTER).data == b"one"


def test_throttled_for_too_long_is_said(proxy, monkeypatch):
    proxy.fault = lambda asked: Answer.s3(503, "SlowDown")
    with monkeypatch.context() as impatient:
        impatient.setattr(obstore_store, "RETRY_SECONDS", 1.0)
        impatient.setenv("AWS_CLIENT", "another one")
        with pytest.raises(ComponentError, match=r"refuses requests for s3://data/a, also after waiting") as caught:
            storage.write("s3://data/a", b"x")
    assert "SlowDown" in str(caught.value)
    assert "fix: run again later" in str(caught.value)


def test_a_reader_may_not_write(running, proxy, monkeypatch):
    store, _ = running
    storage.write(POINTER, b"one")
    for name, value in store.environment(seaweedfs.READER).items():
        monkeypatch.setenv(name, value)
    assert storage.read(POINTER).data == b"one"
    with pytest.raises(ConfigurationError, match=r"may not be written: AccessDenied \(HTTP 403\)") as caught:
        storage.write(POINTER, b"two")
    assert "s3:PutObject" in str(caught.value)
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("key", "words"),
    [(("AKNOBODY", "x"), "InvalidAccessKeyId"), ((seaweedfs.READER[0], "x"), "SignatureDoesNotMatch")],
    ids=["unknown key", "wrong secret"],
)
def test_wrong_credentials_are_said(running, proxy, monkeypatch, key, words):
    store, _ = running
    with monkeypatch.context() as wrong:
        for name, value in store.environment(key).items():
            wrong.setenv(name, value)
        for action in (storage.read, storage.list_folder):
            with pytest.raises(ConfigurationError, match=f"the credentials are not accepted: {words}"):
                action("s3://data/a")


def test_a_store_that_is_not_there_is_said(proxy, monkeypatch):
    with monkeypatch.context() as gone:
        gone.setattr(obstore_store, "RETRY_SECONDS", 1.0)
        gone.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        with pytest.raises(ComponentError, match="does not answer for s3://data/a") as caught:
            storage.read("s3://data/a")
    assert "AWS_ENDPOINT_URL" in str(caught.value)


def test_an_image_without_certificates_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=r"s3://b/ cannot be reached: .* has no certificates of authorities"):
        storage.stat("s3://b/x")
