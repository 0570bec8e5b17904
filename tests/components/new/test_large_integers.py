"""Whole numbers beyond float32, as ids and instants are: kept apart from the file to the features."""

from string import Template

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

import small_examples
from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.transform import work as transform
from kfp_ct.data import layouts, reading
from kfp_ct.new import tasks
from kfp_ct.new.profiling import work
from repository import ROOT


@pytest.fixture(scope="module")
def signups(tmp_path_factory):
    """A profile of instants in seconds and milliseconds, some missing, whose last digits tell them apart."""
    path = tmp_path_factory.mktemp("data") / "signups.csv"
    path.write_text("customer,signup_ms,signup_s,visits,score,member,churned\n" + "".join(
        f"C{n:05},{1718000000000 + 7 * n},{'' if n % 10 == 3 else 1718000000 + n},{n % 40},"
        f"{'inf' if n == 5 else n % 9 + 0.5},{'true' if n % 2 else 'false'},{n % 3 % 2}\n" for n in range(600)
    ))  # fmt: skip
    return path, work.profile(work.Request(str(path), "churned", "", ""))


def test_integers_beyond_float32_stay_integers(signups):
    schema = text_format.Parse(signups[1]["schema"], schema_pb2.Schema())
    kinds = {feature.name: feature.type for feature in schema.feature}

    assert (kinds["signup_ms"], kinds["signup_s"]) == (schema_pb2.INT, schema_pb2.INT)
    assert (kinds["visits"], kinds["member"], kinds["score"]) == (schema_pb2.FLOAT,) * 3
    (score,) = (feature.float_domain for feature in schema.feature if feature.name == "score")
    assert (score.HasField("min"), score.max) == (False, float("inf"))  # the features know what to do with it


def test_features_keep_them_apart(signups, tmp_path):
    path, profile = signups
    (tmp_path / "examples.sql").write_text(profile["sql"])
    source = {"uri": str(path), "format": "csv"}
    ingest.ingest(
        ingest.IngestRequest({"data": source}, str(tmp_path / "examples.sql"), profile["split"]), tmp_path / "examples"
    )
    names = {name: repr(tuple(profile[name])) for name in ("numbers", "categories")}
    text = Template((ROOT / "kfp_ct/new/templates/features.py.template").read_text()).substitute(
        tasks.pieces(profile), name="signups", label='"churned"', **names
    )
    request = transform.TransformRequest(
        str(tmp_path / "examples"), small_examples.write_text(tmp_path / "schema.pbtxt", profile["schema"]),
        small_examples.write_text(tmp_path / "signups_features.py", text),
    )  # fmt: skip
    transform.analyze(request, str(tmp_path / "graph"))
    transform.write_examples(request, str(tmp_path / "graph"), str(tmp_path / "written"), materialize=True)
    assert tft.TFTransformOutput(str(tmp_path / "graph")).transformed_feature_spec()["Numbers"].shape == [5]

    raw, written = (
        pa.Table.from_batches(reading.iter_batches(layouts.split_files(str(tmp_path / of), "train")))
        for of in ("examples", "written")
    )
    numbers, missing = (np.array(written[name].to_pylist()) for name in ("Numbers", "Missing"))
    place = profile["numbers"].index
    assert len(set(numbers[:, place("signup_ms")])) == raw.num_rows
    present = raw["signup_s"].is_valid().to_numpy()
    assert not present.all()
    np.testing.assert_array_equal(missing[:, place("signup_s")], ~present)
    order = np.argsort(np.array(raw["signup_s"].to_pylist(), np.float64)[present])
    assert (np.diff(numbers[present, place("signup_s")][order]) > 0).all()
    assert missing[:, place("score")].sum() == np.isinf(raw["score"].to_numpy()).sum()
