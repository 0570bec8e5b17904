"""Models published to SeaweedFS, followed by the service's own watching: killed publishers, bad networks, rollbacks."""

import datetime
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import cloud_storage
import faulty_proxy
import seaweedfs
from faulty_proxy import CUT_ANSWER, CUT_REQUEST, Answer
from kfp_ct.base.errors import ComponentError, ConfigurationError
from kfp_ct.data import layouts
from kfp_ct.models import release_state, serving_bucket
from kfp_ct.models.release_state import State
from kfp_ct.models.releases import FolderTraffic, Releases
from kfp_ct.serving.model_store import ModelStore
from kfp_ct.serving.versions import Versions
from kfp_ct.storage import releases, storage
from repository import ROOT as REPOSITORY

GONE = Answer.s3(404, "NoSuchKey")
ROOT = "s3://data/serving"
PUBLISH = textwrap.dedent("""
    import sys
    from pathlib import Path
    from kfp_ct.data import layouts
    from kfp_ct.models import serving_bucket
    from kfp_ct.storage import releases

    folder, version = Path(sys.argv[1]), sys.argv[2]
    manifest = releases.manifest_of(folder, layouts.tree_fingerprint(folder))
    serving_bucket.publish(
        serving_bucket.BucketRelease(folder, "s3://data/serving", "m", version, manifest, {}), int(sys.argv[3])
    )
""")


class Loaded:
    """A model that says what was in its folder when it was loaded; half a model cannot be loaded."""

    def __init__(self, folder: Path) -> None:
        self.content = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
        words = set(self.content.values())
        assert len(self.content) == 3, f"half a model: {sorted(self.content)}"
        assert len(words) == 1, f"two models mixed: {words}"

    def warm_up(self):
        pass


@pytest.fixture(scope="module")
def running():
    with seaweedfs.running() as store, faulty_proxy.before(store.url) as proxy:
        yield store, proxy


@pytest.fixture
def store(running, monkeypatch):
    """The store, asked directly and empty; `.environment(url=proxy.url)` goes through the bad network."""
    for name, value in running[0].environment().items():
        monkeypatch.setenv(name, value)
    running[1].heal()
    for item in storage.list_folder("s3://data/"):
        storage.delete(item.uri)
    return running[0]


@pytest.fixture
def proxy(running):
    return running[1]


def model(tmp_path: Path, word: str) -> Path:
    for name in ("saved_model.pb", "variables/variables.index", "assets/words.txt"):
        layouts.write_text(tmp_path / word / name, word)
    return tmp_path / word


def publish(folder: Path, version: str, keep: int = 3, root: str = ROOT):
    manifest = releases.manifest_of(folder, layouts.tree_fingerprint(folder))
    return serving_bucket.publish(serving_bucket.BucketRelease(folder, root, "m", version, manifest, {}), keep)


class Service:
    """What the prediction service does at every look, and which model answers."""

    def __init__(self, folder: Path, root: str = ROOT) -> None:
        folder.mkdir(exist_ok=True)
        self.versions = Versions(folder, Loaded, ModelStore(root, folder).refresh)

    def look(self) -> str:
        self.versions.poll()
        if not self.versions.serving():
            return ""
        with self.versions.leased("m", None) as (loaded, number):
            return f"v{number} {loaded.content['saved_model.pb']}"


def test_a_service_follows_what_is_published_promoted_and_rolled_back(store, tmp_path):
    service = Service(tmp_path / "cache")
    assert service.look() == ""
    assert publish(model(tmp_path, "one"), "1")[0] == {"model": "m", "version": "1", "previous": ""}
    assert service.look() == "v1 one"
    assert publish(model(tmp_path, "two"), "2") == ({"model": "m", "version": "2", "previous": "1"}, ["1"])
    assert service.look() == "v2 two"
    assert publish(model(tmp_path, "one"), "1")[0]["previous"] == "2"
    assert service.look() == "v1 one"
    assert serving_bucket.served(ROOT, "m") == "1"
    assert Service(tmp_path / "another").look() == "v1 one", "a service that starts now serves the same"


def test_a_service_follows_a_bucket_of_cloud_storage_too(tmp_path):
    root = "gs://models/serving"
    with cloud_storage.running("models"):
        service = Service(tmp_path / "cache", root)
        assert service.look() == ""
        publish(model(tmp_path, "one"), "1", root=root)
        assert service.look() == "v1 one"
        publish(model(tmp_path, "two"), "2", root=root)
        assert service.look() == "v2 two"
        publish(model(tmp_path, "one"), "1", root=root)
        assert service.look() == "v1 one"


def test_the_services_image_has_googles_client_in_the_components_release():
    of_the_service, of_components = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / f"requirements/{name}.txt").read_text(), re.MULTILINE))
        for name in ("serving", "components-image")
    )
    assert of_the_service["google-cloud-storage"] == of_components["google-cloud-storage"]


def test_versions_that_labels_in_the_bucket_name_are_kept_and_answer(store, tmp_path, caplog):
    for number, word in (("1", "one"), ("2", "two"), ("3", "three")):
        publish(model(tmp_path, word), number)
    storage.write(f"{ROOT}/m/labels.json", b'{"stable": 1, "last": 3}')
    service = Service(tmp_path / "cache")
    assert [service.look(), service.look(), service.look()] == ["v3 three"] * 3
    assert service.versions.labels("m") == {"stable": 1, "last": 3}
    with service.versions.leased("m", "stable") as (loaded, number):
        assert (number, loaded.content["saved_model.pb"]) == (1, "one")
    storage.write(f"{ROOT}/m/labels.json", b'{"stable": 9}')
    service.look()
    assert service.versions.labels("m") == {"stable": 1, "last": 3}, "as they were"
    assert "names version 9, which is above the served one, 3" in caplog.text
    storage.delete(f"{ROOT}/m/labels.json")
    service.look()
    assert service.versions.labels("m") == {}


def test_only_some_versions_are_kept(store, tmp_path):
    for number in range(1, 6):
        publish(model(tmp_path, f"model{number}"), str(number), keep=2)
    left = {item.uri.removeprefix(f"{ROOT}/m/").partition("/")[0] for item in storage.list_folder(f"{ROOT}/m")}
    assert left == {"4", "4.json", "5", "5.json"}


def test_another_model_under_the_same_version_is_refused(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    with pytest.raises(ConfigurationError, match="holds another model than the one registered as v1"):
        publish(model(tmp_path, "two"), "1")
    assert Service(tmp_path / "cache").look() == "v1 one"


def writes_of(store, proxy, folder: Path, monkeypatch) -> int:
    """Counts the writes of publishing v2 over v1, undone afterwards."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    proxy.heal()
    publish(folder, "2", keep=1)
    return sum(asked.is_write for asked in proxy.asked)


def killed_at(write: int, store, proxy, folder: Path) -> None:
    """Publishes v2 in a process that is killed when it asks for this write, which does not reach the store."""
    proxy.heal()
    seen, process = iter(range(1000)), []

    def kill(asked):
        if asked.is_write and next(seen) >= write:
            process[0].send_signal(signal.SIGKILL)
            return Answer(503)
        return None

    environment = {**os.environ, **store.environment(url=proxy.url), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", PUBLISH, str(folder), "2", "1"]
    proxy.fault = kill
    process.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    process[0].communicate(timeout=120)
    assert process[0].returncode == -signal.SIGKILL


def test_a_publisher_killed_before_any_write_leaves_the_old_version_or_the_new_one(store, proxy, tmp_path, monkeypatch):
    one, two = model(tmp_path, "one"), model(tmp_path, "two")
    publish(one, "1")
    with monkeypatch.context() as counted:
        writes = writes_of(store, proxy, two, counted)
    assert writes == 9, "three files, the manifest, the pointer, and what was v1: its manifest and three files"
    answers = []
    for write in range(writes):
        for item in storage.list_folder("s3://data/"):
            storage.delete(item.uri)
        publish(one, "1")
        service = Service(tmp_path / f"cache{write}")
        assert service.look() == "v1 one"
        killed_at(write, store, proxy, two)
        answers.append(service.look())
        assert Service(tmp_path / f"fresh{write}").look() == answers[-1], "also one that starts now"
        publish(two, "2", keep=1)
        assert service.look() == "v2 two", "the next publisher goes on"
        assert len(storage.list_folder(f"{ROOT}/m")) == 4, "and removes what v1 left"
    assert answers == ["v1 one"] * 5 + ["v2 two"] * 4


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda asked: Answer.s3(400, "ExpiredToken"), id="expired credentials"),
        pytest.param(lambda asked: CUT_ANSWER if "/m/2/" in asked.path and asked.method == "GET" else None, id="cut"),
        pytest.param(lambda asked: GONE if "/m/2/var" in asked.path else None, id="a file gone"),
        pytest.param(lambda asked: GONE if "/m/2.json" in asked.path else None, id="no manifest"),
        pytest.param(
            lambda asked: Answer(200, b"half a poin") if asked.path.endswith("/m.json") else None, id="garbage"
        ),
    ],
)
def test_a_service_behind_a_bad_network_serves_on_and_catches_up(store, proxy, tmp_path, monkeypatch, caplog, fault):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    assert service.look() == "v1 one"
    publish(model(tmp_path, "two"), "2")
    with monkeypatch.context() as behind:
        behind.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.fault = fault
        assert service.look() == "v1 one"
        assert service.look() == "v1 one"
        assert len([r for r in caplog.records if "stay as they are" in r.message]) == 1, "said once"
        proxy.heal()
        assert service.look() == "v2 two"


def test_a_listing_that_lags_withdraws_nothing_and_hides_only_what_is_new(store, proxy, tmp_path, monkeypatch):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    proxy.fault = lambda asked: Answer(200, empty) if asked.is_listing else None
    assert service.look() == "", "nobody has told it of the model"
    proxy.heal()
    assert service.look() == "v1 one"
    proxy.fault = lambda asked: Answer(200, empty) if asked.is_listing else None
    publish(model(tmp_path, "two"), "2")
    assert service.look() == "v2 two", "the pointer is read, not listed"


def test_a_file_that_was_changed_in_the_store_is_not_loaded(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    service.look()
    publish(model(tmp_path, "two"), "2")
    storage.write(f"{ROOT}/m/2/variables/variables.index", b"xxx")
    assert service.look() == "v1 one"


def test_a_pointer_that_is_removed_withdraws_the_model(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    assert service.look() == "v1 one"
    storage.delete(releases.pointer_uri(ROOT, "m"))
    assert service.look() == ""


def test_an_upload_that_is_cut_for_good_moves_nothing(store, proxy, tmp_path, monkeypatch):
    publish(model(tmp_path, "one"), "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    proxy.fault = lambda asked: CUT_REQUEST if asked.is_write and "variables" in asked.path else None
    with pytest.raises(ComponentError, match="does not answer"):
        publish(model(tmp_path, "two"), "2")
    proxy.heal()
    assert Service(tmp_path / "cache").look() == "v1 one"


def test_of_two_publishers_at_once_both_are_done_and_one_is_served(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    environment = {**os.environ, **store.environment(), "PYTHONPATH": str(Path.cwd())}
    started = [
        subprocess.Popen([sys.executable, "-c", PUBLISH, str(model(tmp_path, word)), number, "3"], env=environment)
        for word, number in (("two", "2"), ("three", "3"))
    ]
    assert [each.wait(timeout=120) for each in started] == [0, 0]
    assert Service(tmp_path / "cache").look() in ("v2 two", "v3 three")


POLICY = {"canary": [1, 50], "judge": {"request_log": "log"}}
NOW = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)


def begin_release(folder: Path):
    """Gives v2 one percent beside v1; returns the releases."""
    manifest = releases.manifest_of(folder, layouts.tree_fingerprint(folder))
    fingerprint = serving_bucket.upload(serving_bucket.BucketRelease(folder, ROOT, "m", "2", manifest, {}))
    at = NOW.isoformat()
    state = State("2-a", "m", "1", "2", "running", 1, 0, "", 0, at, at, POLICY, fingerprint, {})
    release_state.write(ROOT, state, None)
    return Releases(ROOT, FolderTraffic(ROOT), lambda state: None, lambda state: None)


def look_at(found, verdict: str):
    return found.apply(found.running("m"), {"verdict": verdict, "reason": "so"}, NOW)


def test_a_candidate_in_a_bucket_is_brought_before_its_traffic_and_promoted_without_loading_it_again(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    assert service.look() == "v1 one"
    found = begin_release(model(tmp_path, "two"))
    assert service.look() == "v1 one"
    assert service.versions.routing("m").percent == 1
    with service.versions.leased("m", 2) as (candidate, _):
        assert candidate.content["saved_model.pb"] == "two"
    look_at(found, "advance")
    service.look()
    assert service.versions.routing("m").percent == 50
    assert look_at(found, "promote").state == "promoted"
    assert service.look() == "v2 two"
    assert service.versions.routing("m") is None
    with service.versions.leased("m", None) as (live, _):
        assert live is candidate
    assert releases.read_pointer(ROOT, "m").state["previous"] == "1"
    assert Service(tmp_path / "another").look() == "v2 two"


def test_a_candidate_in_a_bucket_that_is_backed_out_is_gone(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    service = Service(tmp_path / "cache")
    found = begin_release(model(tmp_path, "two"))
    service.look()
    assert look_at(found, "back_out").state == "backed_out"
    assert service.look() == "v1 one"
    assert service.versions.routing("m") is None
    assert not list((tmp_path / "cache" / "m" / "candidate").iterdir())
    left = {item.uri.removeprefix(f"{ROOT}/m/").partition("/")[0] for item in storage.list_folder(f"{ROOT}/m")}
    assert left == {"1", "1.json", "release.json", "release-history"}


def test_a_release_that_another_has_changed_in_the_bucket_is_left(store, tmp_path):
    publish(model(tmp_path, "one"), "1")
    found = begin_release(model(tmp_path, "two"))
    old = found.running("m")
    look_at(found, "advance")
    with pytest.raises(ComponentError, match="changed by another at the same time"):
        found.apply(old, {"verdict": "back_out", "reason": "so"}, NOW)
    assert release_state.read(ROOT, "m").state.percent == 50
