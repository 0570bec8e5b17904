"""What parameters name: modules, files, texts; and what only looks like a name."""

import datetime

import pytest

from kfp_ct.base.errors import ConfigurationError, UsageError
from kfp_ct.caching.named_by_parameters import ParameterReader
from kfp_ct.storage import storage
from kfp_ct.storage.objects import StoredObject
from small_repositories import closure, named, write

FILES = {
    "pipelines/__init__.py": "",
    "pipelines/p/__init__.py": "",
    "pipelines/p/model.py": "from pipelines.p import layers",
    "pipelines/p/layers.py": "",
    "pipelines/p/query.sql": "SELECT * FROM read_csv('lookup/airports.csv') -- \"pipelines.p.model\"",
    "pipelines/p/data/a.txt": "",
    "lookup/airports.csv": "",
    "module.py": "",
    "models/taxi.py": "import neighbour",
    "models/neighbour.py": "",
    "data/big.csv": "x",
}


@pytest.fixture
def read(tmp_path):
    write(tmp_path, FILES)

    def _read(**parameters):
        found = ParameterReader(tmp_path, closure(tmp_path), {}).read(parameters)
        return named(found.modules, tmp_path), named(found.files, tmp_path), found.objects

    return _read


MODEL = {"pipelines/__init__.py", "pipelines/p/__init__.py", "pipelines/p/model.py", "pipelines/p/layers.py"}
TAXI = {"models/taxi.py", "models/neighbour.py"}


@pytest.mark.parametrize(
    ("value", "modules", "files"),
    [
        pytest.param("pipelines.p.model", MODEL, set(), id="module"),
        pytest.param("pipelines.p.model.run_fn", MODEL, set(), id="function of a module"),
        pytest.param("module", {"module.py"}, set(), id="module at the root"),
        pytest.param("models/taxi.py", TAXI, set(), id="file of a module"),
        pytest.param("pipelines.p.model:eval_config", MODEL, set(), id="function by import path"),
        pytest.param("models/taxi.py:eval_config", TAXI, set(), id="function of a file"),
        pytest.param("12:30", set(), set(), id="time"),
        pytest.param("pipelines/p/query.sql", MODEL, {"pipelines/p/query.sql", "lookup/airports.csv"}, id="text"),
        pytest.param({"a": [{"b": "models/taxi.py"}]}, TAXI, set(), id="deep inside"),
        pytest.param("pipelines/p/data", set(), {"pipelines/p/data/a.txt"}, id="folder of sources"),
        pytest.param("data", set(), set(), id="folder of data"),
        pytest.param("SELECT 1\nFROM pipelines", set(), set(), id="SQL"),
        pytest.param("x" * 5000, set(), set(), id="long"),
        pytest.param("a\0b", set(), set(), id="null character"),
        pytest.param("", set(), set(), id="empty"),
        pytest.param(3, set(), set(), id="number"),
    ],
)
def test_a_value_names(read, value, modules, files):
    assert read(anything=value)[:2] == (modules, files)


def test_sources_of_data_count_by_their_own_version(read):
    assert read(sources={"t": {"uri": "data/big.csv"}}) == (set(), set(), {})


def test_a_text_in_a_bucket_counts_by_its_checksum(read, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    there = {uri: StoredObject(uri, "b", "q.sql", 9, "1", "abc", now) for uri in ("gs://b/q.sql", "s3://b/q.sql")}
    monkeypatch.setattr(storage, "stat", there.get)
    assert read(query="gs://b/q.sql")[2] == {"gs://b/q.sql": "abc"}
    assert read(query="s3://b/q.sql")[2] == {"s3://b/q.sql": "abc"}
    assert read(query="gs://b/none.sql")[2] == {"gs://b/none.sql": ""}


def test_a_folder_in_a_bucket_is_not_asked_for(read, monkeypatch):
    monkeypatch.setattr(storage, "stat", lambda uri: pytest.fail(uri))
    assert read(checkpoints="gs://b/checkpoints")[2] == {}


def test_a_refusal_of_the_store_stops_before_anything_runs(read, monkeypatch):
    def refuse(uri):
        raise ConfigurationError(f"{uri} may not be read")

    monkeypatch.setattr(storage, "stat", refuse)
    with pytest.raises(UsageError, match="may not be read"):
        read(query="gs://b/q.sql")
