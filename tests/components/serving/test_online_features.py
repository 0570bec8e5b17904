"""Features from the store: materialised, backfilled, looked up by the service, and compared with training's."""

import asyncio
import datetime
import json
import sqlite3
import time

import duckdb
import numpy as np
import pytest
import yaml

from kfp_ct.components.ingest import features_process
from kfp_ct.data.feature_views import definitions, online_store, views
from kfp_ct.data.feature_views.online_store import Span
from kfp_ct.serving import __main__ as serving
from kfp_ct.serving import bodies, options
from kfp_ct.serving.batching import Batching
from kfp_ct.serving.errors import FeaturesNotReadableError
from kfp_ct.serving.limits import LOOPBACK_NAMES, Limits
from kfp_ct.serving.online_features import OnlineFeatures
from kfp_ct.serving.predictor import Call, Codec, Predictor
from kfp_ct.serving.request_files import Answered, Key, RequestFiles
from kfp_ct.serving.values import InputSpec
from kfp_ct.serving.versions import Versions
from numpy_models import save_version

DAY = datetime.datetime(2013, 7, 1, tzinfo=datetime.UTC).timestamp()
HOUR = 3600.0
LOGGED = json.dumps({"signature": "serving_default"})
SPECS = {"serving_default": {
    "airport": InputSpec("airport", "string", np.dtype(object), (None,)),
    "temp": InputSpec("temp", "float", np.dtype(np.float32), (None,)),
    "gusts": InputSpec("gusts", "int64", np.dtype(np.int64), (None, 1)),
    "sky": InputSpec("sky", "string", np.dtype(object), (None,)),
}}  # fmt: skip
DEFINED = {
    "time_zone": "America/New_York",
    "entities": [{"name": "airport", "join_keys": ["airport"]}],
    "feature_views": [{
        "name": "weather", "entities": ["airport"], "timestamp_field": "known_at", "ttl": "2h",
        "features": ["temp", "gusts", "sky"],
        "query": "SELECT airport, known_at::TIMESTAMP AS known_at, temp::FLOAT AS temp, gusts, sky FROM weather",
    }],
}  # fmt: skip
# Local times: New York is four hours behind in July.
WEATHER = """airport,known_at,temp,gusts,sky
JFK,2013-06-30 19:00:00,70.1,1,rain
JFK,2013-06-30 21:00:00,69.5,3,clear
LGA,2013-06-30 20:30:00,71.5,,clear
"""


@pytest.fixture
def project(tmp_path):
    """A features.yaml, its source, and what a question to the process has in common."""
    (tmp_path / "weather.csv").write_text(WEATHER)
    (tmp_path / "features.yaml").write_text(yaml.safe_dump(DEFINED))
    (tmp_path / "common.json").write_text(json.dumps({
        "sources": {"weather": str(tmp_path / "weather.csv")}, "max_bad_fraction": 0.0,
        "file": str(tmp_path / "features.yaml"), "online": str(tmp_path / "online.db"),
    }))  # fmt: skip
    return tmp_path


def do(project, what, **given):
    asked = {**json.loads((project / "common.json").read_text()), "do": what, **given}
    return features_process.answer(asked)


def completed(project, instances, now=DAY + 1.5 * HOUR):
    """The inputs of a request as the model is asked with."""
    body = json.dumps({"instances": instances}).encode()
    store = OnlineFeatures(project / "online.db", now=lambda: now)
    found = store.complete(bodies.decode(body, SPECS).inputs, SPECS["serving_default"])
    return {name: found[name].reshape(-1).tolist() for name in ("temp", "gusts", "sky")}


def test_a_request_that_names_its_entities_gets_their_newest_features(project):
    said = do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    assert said == {"views": {"weather": {"entities": 2, "written": 2}}}
    found = completed(project, [{"airport": "JFK"}, {"airport": "LGA"}, {"airport": "EWR"}, {"airport": "JFK"}])
    assert found["temp"][:2] == pytest.approx([69.5, 71.5])
    assert np.isnan(found["temp"][2])
    assert found["gusts"] == [3, -(2**63), -(2**63), 3]
    assert found["sky"] == [b"clear", b"clear", b"", b"clear"]


def test_what_a_caller_sends_stands(project):
    do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    found = completed(project, [{"airport": "JFK", "temp": 10.0, "sky": "snow"}, {"airport": "JFK", "gusts": 9}])
    assert found == {"temp": [10.0, 69.5], "gusts": [3, 9], "sky": [b"snow", b"clear"]}


def test_values_that_no_longer_hold_are_not_given(project):
    do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    found = completed(project, [{"airport": "JFK"}, {"airport": "LGA"}], now=DAY + 2.75 * HOUR)
    assert (found["temp"][0], np.isnan(found["temp"][1])) == (69.5, True)


def test_nothing_is_materialised_before_it_is_known_and_a_backfill_replaces_nothing_newer(project):
    do(project, "materialize", start=None, end=DAY)  # 20:00 in New York
    assert completed(project, [{"airport": "JFK"}], now=DAY)["sky"] == [b"rain"]
    do(project, "materialize", start=DAY, end=DAY + 2 * HOUR)
    backfilled = do(project, "materialize", start=None, end=DAY)
    assert backfilled == {"views": {"weather": {"entities": 1, "written": 0}}}
    assert completed(project, [{"airport": "JFK"}])["sky"] == [b"clear"]


def test_a_view_that_is_defined_anew_keeps_nothing_of_the_old(project):
    do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    other = json.loads(json.dumps(DEFINED))
    other["feature_views"][0]["ttl"] = ""
    (project / "features.yaml").write_text(yaml.safe_dump(other))
    do(project, "materialize", start=DAY + 0.75 * HOUR, end=DAY + 2 * HOUR)
    found = completed(project, [{"airport": "JFK"}, {"airport": "LGA"}], now=DAY + 1000 * HOUR)
    assert found["sky"] == [b"clear", b""]


def test_a_reader_follows_the_file_and_a_failure_leaves_the_old_one(project):
    do(project, "materialize", start=None, end=DAY)
    store = OnlineFeatures(project / "online.db", now=lambda: DAY + HOUR)
    inputs = bodies.decode(b'{"instances": [{"airport": "JFK"}]}', SPECS).inputs
    assert store.complete(inputs, SPECS["serving_default"])["sky"].tolist() == [b"rain"]
    before = (project / "online.db").read_bytes()
    bad = {**DEFINED["feature_views"][0], "name": "winds", "features": ["winds"]}
    bad["query"] = "SELECT airport, known_at::TIMESTAMP AS known_at, [gusts] AS winds FROM weather"
    (project / "features.yaml").write_text(
        yaml.safe_dump({**DEFINED, "feature_views": [*DEFINED["feature_views"], bad]})
    )
    assert "winds is BIGINT[]" in do(project, "materialize", start=None, end=DAY + 2 * HOUR)["error"]
    assert (project / "online.db").read_bytes() == before
    (project / "features.yaml").write_text(yaml.safe_dump(DEFINED))
    do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    assert store.complete(inputs, SPECS["serving_default"])["sky"].tolist() == [b"clear"]


class AirportModel:
    """Answers with what it was asked with."""

    def __init__(self, folder):
        self.specs, self.definitions = SPECS, {}

    def batches(self, signature):
        return True

    def run(self, signature, inputs):
        return {"temp": inputs["temp"]}

    def metadata(self):
        return {}

    def warm_up(self):
        pass


def answered(project, instances, now):
    """What the service answers, and the lookups that it counts."""
    save_version(project / "served" / "m" / "1")
    versions = Versions(project / "served", AirportModel)
    versions.poll()
    predictor = Predictor(versions, Limits(1 << 20, 256, 1, LOOPBACK_NAMES), Batching("off"))
    predictor.features = OnlineFeatures(project / "online.db", predictor.metrics.features_looked_up, lambda: now)
    question = bodies.decode(json.dumps({"instances": instances}).encode(), SPECS)
    codec = Codec(lambda model: ("serving_default", question.inputs), lambda *each: each[2]["temp"].tolist())
    found = asyncio.run(predictor.answer(Call("m", None, "r", "rest", 1), codec))
    return found, predictor.metrics.page().decode()


def test_the_service_answers_with_looked_up_features_and_counts_them(project):
    do(project, "materialize", start=None, end=DAY + 2 * HOUR)
    found, page = answered(project, [{"airport": "JFK"}, {"airport": "XYZ", "temp": 1.0}], DAY + 1.5 * HOUR)
    assert found == [69.5, 1.0]
    assert 'serving_features_total{outcome="found",view="weather"} 1.0' in page
    assert 'serving_features_total{outcome="unknown",view="weather"} 1.0' in page


def test_skew_is_what_was_served_against_what_was_known_then(project):
    """Served from a store that was an hour behind: one of two airports was answered by an older row."""
    files = RequestFiles(project / "log", 1 << 30)
    arrays = {"airport": np.array([b"JFK", b"LGA"], object), "temp": np.array([70.1, 71.5], np.float32),
              "gusts": np.array([1, -(2**63)]), "sky": np.array([b"rain", b""], object)}  # fmt: skip
    asked = Answered("r", DAY + 1.5 * HOUR, 1.0, arrays, {"p": np.zeros(2)})
    files.write(Key("m", 1, "serving_default"), [asked], LOGGED)
    files.write(Key("m", 1, "other"), [asked], json.dumps({"signature": "other"}))
    found = do(project, "skew", log=str(project / "log/m"), signature="serving_default")["views"]["weather"]
    nothing = {"rows": 2, "different": 0.0, "missing_online": 0.0, "missing_offline": 0.0}
    assert found == {
        "temp": {**nothing, "different": 0.5}, "gusts": {**nothing, "different": 0.5},
        "sky": {**nothing, "different": 0.5, "missing_online": 0.5},
    }  # fmt: skip


def test_a_log_without_join_keys_cannot_be_compared(project):
    asked = Answered("r", DAY, 1.0, {"x": np.zeros(1)}, {"p": np.zeros(1)})
    where = {"log": str(project / "log" / "m"), "signature": "serving_default"}
    assert "no request for serving_default is logged" in do(project, "skew", **where)["error"]
    RequestFiles(project / "log", 1 << 30).write(Key("m", 1, "serving_default"), [asked], LOGGED)
    assert "the request log holds x" in do(project, "skew", **where)["error"]


def test_what_is_no_store_is_said(tmp_path):
    with pytest.raises(FeaturesNotReadableError, match="cannot be read"):
        OnlineFeatures(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("hello " * 100)
    with pytest.raises(FeaturesNotReadableError, match="ct features materialize"):
        OnlineFeatures(tmp_path / "text.db")
    given = options.parser().parse_args(["--root", str(tmp_path), "--features", str(tmp_path / "text.db")])
    with pytest.raises(options.UsageError, match="holds no features"):
        serving._checked(given)


def test_a_lookup_takes_microseconds(project):
    """Of 20,000 entities; the limit is fifty times what a quiet machine takes."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA ct; CREATE TABLE weather AS SELECT range::VARCHAR AS airport,"
                           " TIMESTAMP '2013-06-30 20:00:00' AS known_at, 1.0 AS temp, range AS gusts, 'x' AS sky"
                           " FROM range(20000)")  # fmt: skip
        loaded = views.load(connection, definitions.parse(yaml.safe_dump(DEFINED)), "f")
        online_store.materialize(connection, loaded, "America/New_York", project / "online.db", Span(None, DAY))
    with sqlite3.connect(project / "online.db") as store:
        assert store.execute("SELECT count(*) FROM online").fetchone() == (20_000,)
    store = OnlineFeatures(project / "online.db", now=lambda: DAY)
    asked = [bodies.decode(b'{"instances": [{"airport": "%d"}]}' % number, SPECS).inputs for number in range(500)]
    begun = time.process_time()
    found = [store.complete(inputs, SPECS["serving_default"])["gusts"].item() for inputs in asked]
    taken = 1e6 * (time.process_time() - begun) / len(asked)
    assert found == list(range(500))
    assert taken < 2_500, f"{taken:.0f} µs"
    print(f"{taken:.0f} µs")
