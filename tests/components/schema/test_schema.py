"""The schema: the curated one as it is written, or one inferred from all splits."""

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.schema import difference, work
from kfp_ct.data import feature_statistics, layouts

CURATED = """\
# Comments stay: people read this file.
default_environment: "TRAINING"
default_environment: "SERVING"
feature { name: "hour" type: INT presence { min_fraction: 1.0 min_count: 1 } int_domain { min: 0 max: 23 } }
feature { name: "carrier" type: BYTES domain: "carrier" }
feature { name: "late" type: INT not_in_environment: "SERVING" }
string_domain { name: "carrier" value: "UA" value: "B6" }
"""


@pytest.fixture
def statistics(tmp_path):
    table = pa.table({"hour": [1, 2, 3], "carrier": ["UA", "B6", None], "gust": pa.array([1.5, None, None])})
    path = layouts.split_path(tmp_path / "statistics", "train") / "FeatureStats.pb"
    path.parent.mkdir(parents=True)
    path.write_bytes(feature_statistics.compute(table.to_batches(), "train").SerializeToString())
    return str(tmp_path / "statistics")


def written(tmp_path, text):
    file = tmp_path / "schema.pbtxt"
    file.write_text(text)
    return str(file)


def test_a_curated_schema_is_copied_as_it_is(tmp_path, capsys):
    metadata = work.write_schema("nowhere", str(tmp_path / "out"), written(tmp_path, CURATED))
    assert (tmp_path / "out" / "schema.pbtxt").read_text() == CURATED
    assert metadata == {"features": 3, "curated": True}
    assert "summary: 3 features, 1 closed domains, from " in capsys.readouterr().out


def test_the_summary_says_type_presence_domain_and_environments(tmp_path):
    work.write_schema("nowhere", str(tmp_path / "out"), written(tmp_path, CURATED))
    hour, carrier, late = layouts.read_json(tmp_path / "out" / "summary.json")["features"]
    assert hour == {
        "name": "hour",
        "type": "int",
        "presence": {"min_fraction": 1.0, "min_count": 1},
        "domain": {"min": 0, "max": 23},
        "environments": ["TRAINING", "SERVING"],
    }
    assert carrier["domain"] == {"size": 2, "values": ["UA", "B6"]}
    assert late["environments"] == ["TRAINING"]


def test_a_schema_is_inferred_from_the_train_split(statistics, tmp_path):
    metadata = work.write_schema(statistics, str(tmp_path / "out"), "")
    schema = tfdv.load_schema_text(str(tmp_path / "out" / "schema.pbtxt"))
    assert [feature.name for feature in schema.feature] == ["hour", "carrier", "gust"]
    assert [sorted(domain.value) for domain in schema.string_domain] == [["B6", "UA"]]
    assert metadata == {"features": 3, "curated": False}


def test_a_schema_is_widened_by_the_other_splits_and_free_text_has_no_vocabulary(tmp_path):
    splits = {
        "train": {"plan": ["basic", "pro"] * 20, "review": [f"I liked number {n}" for n in range(40)], "n": [1] * 40},
        "eval": {"plan": ["pro", "trial"] * 20, "review": [f"I hated number {n}" for n in range(40)], "n": [2] * 40},
    }
    for name, columns in splits.items():
        path = layouts.split_path(tmp_path / "statistics", name) / "FeatureStats.pb"
        path.parent.mkdir(parents=True)
        found = feature_statistics.compute(pa.table(columns).to_batches(), name)
        path.write_bytes(found.SerializeToString())
    work.write_schema(str(tmp_path / "statistics"), str(tmp_path / "out"), "")
    schema = tfdv.load_schema_text(str(tmp_path / "out" / "schema.pbtxt"))
    assert [(domain.name, sorted(domain.value)) for domain in schema.string_domain] == [
        ("plan", ["basic", "pro", "trial"])
    ]
    assert [feature.HasField("domain") for feature in schema.feature if feature.name == "review"] == [False]


def test_a_curated_schema_is_compared_with_the_data(statistics, tmp_path, capsys):
    work.write_schema(statistics, str(tmp_path / "out"), written(tmp_path, CURATED.replace('"B6"', '"AA"')))
    found = layouts.read_json(tmp_path / "out" / "summary.json")["difference"]
    assert [(row["feature"], row["aspect"], row["curated"], row["inferred"]) for row in found] == [
        ("carrier", "presence", "any", "some rows"),
        ("carrier", "domain", "alone: AA", "alone: B6"),
        ("late", "feature", "int", ""),
        ("gust", "feature", "", "float"),
    ]
    inferred = tfdv.load_schema_text(str(tmp_path / "out" / "inferred.pbtxt"))
    assert [feature.name for feature in inferred.feature] == ["hour", "carrier", "gust"]
    assert "; 3 features inferred otherwise: carrier, late, gust" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("curated", "inferred", "expected"),
    [
        ("type: INT", "type: FLOAT", [("type", "int", "float")]),
        ("type: BYTES string_domain { value: 'a' }", "type: BYTES", [("domain", "1 values", "any")]),
        ("type: BYTES", "type: BYTES string_domain { value: 'a' }", [("domain", "any", "1 values")]),
        ("type: INT value_count { min: 1 max: 1 }", "type: INT value_count { min: 0 }",
         [("values", "one a row", "0 or more a row")]),
        ("type: INT shape { dim { size: 3 } }", "type: INT value_count { min: 2 max: 4 }",
         [("values", "shape [3]", "2 to 4 a row")]),
        ("type: INT presence { min_fraction: 0.9 }", "type: INT presence { min_fraction: 1 min_count: 1 }",
         [("presence", "at least 90 % of the rows", "at least 100 % of the rows")]),
        ("type: INT presence { min_count: 0 }", "type: INT shape {}", []),
    ],
    ids=["type", "closed", "open", "list", "shape", "presence", "the same"],
)  # fmt: skip
def test_every_aspect_of_a_feature_is_compared(curated, inferred, expected):
    left, right = (
        text_format.Parse(f"feature {{ name: 'x' {text} }}", schema_pb2.Schema()) for text in (curated, inferred)
    )
    assert [(row.aspect, row.curated, row.inferred) for row in difference.between(left, right)] == expected


def test_the_shipped_flights_schema_is_accepted(tmp_path):
    assert work.write_schema("nowhere", str(tmp_path), "pipelines/flights/schema.pbtxt")["features"] > 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('feature { name: "a" type: INT }\nfeature { nme: "b" }', r"line 2: .*nme.*\nfound: feature \{ nme"),
        ('feature { name: "a" type: INTEGER }', r"line 1: .*INTEGER"),
        ('feature { name: "a" type: INT', r"cannot be parsed, line \d"),
        ("", "has no feature"),
        ("# only a comment\n", "has no feature"),
        ('feature { name: "a" type: INT } feature { name: "a" type: INT }', "names a feature twice: a"),
        ('feature { name: "a" }', "gives feature 'a' no type"),
        ("feature { type: INT }", "a feature without a name"),
        ('feature { name: "a" type: BYTES domain: "b" }', "the domain 'b', which it does not define"),
        ('feature { name: "a" type: INT not_in_environment: "SERVING" }', "does not declare: SERVING"),
    ],
    ids=[
        "unknown field", "unknown type", "unclosed", "empty", "comment only", "twice", "no type", "no name",
        "no such domain", "no such environment",
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_says_why_and_where(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said) as raised:
        work.write_schema("nowhere", str(tmp_path / "out"), written(tmp_path, text))
    assert "fix: " in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_schema_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no schema at gone\.pbtxt"):
        work.write_schema("nowhere", str(tmp_path), "gone.pbtxt")


def test_nothing_is_inferred_without_statistics_of_the_train_split(tmp_path):
    with pytest.raises(DataError, match="no statistics of the split 'train'"):
        work.write_schema(str(tmp_path), str(tmp_path / "out"), "")
