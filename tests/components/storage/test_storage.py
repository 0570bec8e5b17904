"""One interface to paths, s3:// (SeaweedFS) and gs:// (fake-gcs-server): the same answers from all three."""

import threading
import uuid

import pytest

import cloud_storage
import seaweedfs
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.storage import locations, search, storage


@pytest.fixture(scope="module")
def s3_store():
    with seaweedfs.running() as store:
        yield store


@pytest.fixture(scope="module")
def gs_bucket():
    with cloud_storage.running("data"):
        yield


@pytest.fixture(params=["path", "file", "s3", "gs"])
def root(request, tmp_path, monkeypatch):
    """An empty folder of each kind."""
    if request.param in ("path", "file"):
        return f"{'file://' if request.param == 'file' else ''}{tmp_path}/root"
    if request.param == "s3":
        for name, value in request.getfixturevalue("s3_store").environment().items():
            monkeypatch.setenv(name, value)
    else:
        request.getfixturevalue("gs_bucket")
    return f"{request.param}://data/{uuid.uuid4().hex}"


def test_an_object_is_written_read_replaced_and_deleted(root):
    uri = locations.join(root, "deep", "a b=c+é.json")
    assert storage.read(uri) is None
    assert storage.stat(uri) is None
    storage.write(uri, b"one")
    first = storage.read(uri)
    assert first.data == b"one"
    item = storage.stat(uri)
    assert (item.size, item.version, item.file_name) == (3, first.version, "a b=c+é.json")
    storage.write(uri, b"two")
    assert storage.stat(uri).version != first.version
    storage.delete(uri)
    assert storage.read(uri) is None
    storage.delete(uri)


def test_only_one_of_many_creates_an_object(root):
    uri, wins = locations.join(root, "pointer"), []

    def attempt(number):
        if storage.create(uri, f"by {number}".encode()):
            wins.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert storage.read(uri).data == f"by {wins[0]}".encode()
    assert len(wins) == 1
    assert [each.file_name for each in storage.list_folder(root)] == ["pointer"], "what guards a write is no object"


def test_an_object_is_replaced_only_while_it_is_what_was_read(root):
    uri = locations.join(root, "pointer")
    storage.write(uri, b"one")
    seen = storage.read(uri)
    assert storage.replace(uri, b"two", seen.version)
    assert not storage.replace(uri, b"three", seen.version), "it is another version by now"
    assert storage.read(uri).data == b"two"
    storage.delete(uri)
    assert not storage.replace(uri, b"four", seen.version)
    assert storage.read(uri) is None


def test_counting_up_by_many_loses_nothing(root):
    uri = locations.join(root, "count")
    storage.write(uri, b"0")

    def add():
        for _ in range(5):
            while True:
                seen = storage.read(uri)
                if storage.replace(uri, str(int(seen.data) + 1).encode(), seen.version):
                    break

    threads = [threading.Thread(target=add) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert storage.read(uri).data == b"15"


def test_a_folder_goes_there_and_back(root, tmp_path):
    made = {"saved_model.pb": b"graph", "variables/variables.data": b"x" * 11_000_000, "empty": b""}
    for name, data in made.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_bytes(data)
    storage.upload_folder(tmp_path / "made", locations.join(root, "m"), last="saved_model.pb")
    found = storage.list_folder(locations.join(root, "m"))
    assert {each.uri.rpartition("/m/")[2]: each.size for each in found} == {n: len(d) for n, d in made.items()}
    storage.download([(each, tmp_path / "back" / each.uri.rpartition("/m/")[2]) for each in found])
    assert {name: (tmp_path / "back" / name).read_bytes() for name in made} == made
    assert storage.list_folder(locations.join(root, "mm")) == []


def test_what_was_overwritten_since_it_was_found_is_not_handed_out(root, tmp_path):
    uri = locations.join(root, "a.csv")
    storage.write(uri, b"one")
    found = storage.stat(uri)
    storage.write(uri, b"two")
    with pytest.raises(DataError, match="overwritten or removed"):
        storage.download([(found, tmp_path / "copy")])


def test_a_folder_and_a_name_that_begins_like_it_are_two(root):
    for name in ("in/a.csv", "in/b/c.csv", "inner/d.csv"):
        storage.write(locations.join(root, name), b"x")
    assert [each.uri.rpartition("/in/")[2] for each in storage.list_folder(locations.join(root, "in"))] == [
        "a.csv", "b/c.csv"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("s3://", ConfigurationError, "names no bucket"),
        ("s3://*/a", ConfigurationError, "names no bucket"),
        ("gs:///a", ConfigurationError, "names no bucket"),
        ("ftp://host/a", ConfigurationError, "ftp is not supported"),
    ],
)
def test_a_uri_that_cannot_be_used_is_named(uri, error, words):
    with pytest.raises(error, match=words) as caught:
        storage.read(uri)
    assert "fix: " in str(caught.value)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_bucket_that_is_missing_is_named(scheme, request, monkeypatch):
    if scheme == "s3":
        for name, value in request.getfixturevalue("s3_store").environment().items():
            monkeypatch.setenv(name, value)
    else:
        request.getfixturevalue("gs_bucket")
    for action in (
        lambda uri: storage.write(uri, b"x"), lambda uri: storage.list_folder(uri), lambda uri: search.find(f"{uri}/*"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=rf"there is no bucket for {scheme}://nowhere/a"):
            action(f"{scheme}://nowhere/a")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/a.csv", ["in/a.csv"]),
        ("in/*.csv", ["in/a.csv"]),
        ("in/**/*.csv", ["in/a.csv", "in/b/c.csv"]),
        ("in", ["in/a.csv", "in/b/c.csv"]),
        ("in/", ["in/a.csv", "in/b/c.csv"]),
        ("i*/d.csv", ["inner/d.csv"]),
        ("in/gone.csv", []),
    ],
)
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_objects_globs_and_folders_are_found(scheme, pattern, expected, request, monkeypatch):
    root = request.getfixturevalue("s3_store" if scheme == "s3" else "gs_bucket")
    if scheme == "s3":
        for name, value in root.environment().items():
            monkeypatch.setenv(name, value)
    for name in ("in/a.csv", "in/b/c.csv", "in/_SUCCESS", "in/.part.crc", "inner/d.csv"):
        storage.write(f"{scheme}://data/{name}", b"x")
    assert [each.name for each in search.find(f"{scheme}://data/{pattern}")] == expected
    assert all(search.is_behind(f"{scheme}://data/{pattern}", "data", name) for name in expected)
    for name in ("in/a.csv", "in/b/c.csv", "in/_SUCCESS", "in/.part.crc", "inner/d.csv"):
        storage.delete(f"{scheme}://data/{name}")
