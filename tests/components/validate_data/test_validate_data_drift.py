"""What data validation measures but lets pass, drift and skew; and personal data, which it does not."""

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2

from kfp_ct.base import setting_problems
from kfp_ct.base.errors import AnomaliesFoundError, ConfigurationError
from kfp_ct.components.validate_data import work
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import feature_statistics, layouts

SCHEMA = """
feature { name: "temp" type: FLOAT
  drift_comparator { jensen_shannon_divergence { threshold: 0.2 } }
  skew_comparator { jensen_shannon_divergence { threshold: 0.3 } } }
feature { name: "carrier" type: BYTES drift_comparator { infinity_norm { threshold: 0.1 } } }
feature { name: "late" type: INT }
"""


def table(temp=10.0, carriers=("UA", "B6"), **more):
    random = np.random.default_rng(1)
    columns = {
        "temp": random.normal(temp, 5, 400),
        "carrier": [carriers[n % len(carriers)] for n in range(400)],
        "late": [n % 2 for n in range(400)],
    }
    return pa.table(columns | more)


def write_statistics(root, splits):
    for name, rows in splits.items():
        path = layouts.split_path(root, name) / "FeatureStats.pb"
        path.parent.mkdir(parents=True)
        path.write_bytes(feature_statistics.compute(rows.to_batches(), name).SerializeToString())


def champion(root, rows):
    """A registered model that was trained on these rows."""
    layouts.write_text(root / "champion" / "Format-Serving" / "saved_model.pb", "a graph")
    if rows is not None:
        write_statistics(root / "champion" / "Registered" / "statistics", {"train": rows})
    return str(root / "champion")


def validate(root, splits, champion_path="", schema=SCHEMA, deny=()):
    write_statistics(root / "statistics", splits)
    layouts.write_text(root / "schema" / "schema.pbtxt", schema)
    inputs = work.Inputs(str(root / "statistics"), str(root / "schema"), champion_path, "3" if champion_path else "")
    outputs = work.Outputs(str(root / "anomalies"), str(root / "view.html"))
    return work.validate(inputs, outputs, Parameters(label="late", deny=deny))


def summary(root):
    return layouts.read_json(root / "anomalies" / "summary.json")


def test_data_that_moved_from_the_champions_is_recorded_and_goes_on(tmp_path, capsys):
    trained_on = champion(tmp_path, table())
    result = validate(tmp_path, {"train": table(30.0)}, trained_on)
    assert (result.drifted, result.drifted_features) == (True, ["temp"])
    of = summary(tmp_path)
    assert of["drifted_features"] == ["temp"]
    assert of["drift"]["of"] == "train against the data that champion v3 was trained on"
    by_name = {row["feature"]: row for row in of["drift"]["distances"]}
    assert by_name["temp"]["value"] > 0.2
    assert by_name["temp"]["threshold"] == pytest.approx(0.2)
    assert by_name["carrier"] == {
        "feature": "carrier", "measure": "infinity_norm", "value": 0.0, "threshold": 0.1, "exceeded": False,
    }  # fmt: skip
    assert "1 of 2 compared features drifted: temp" in capsys.readouterr().out
    assert "Drifted: temp" in (tmp_path / "view.html").read_text()


def test_data_like_the_champions_has_not_drifted(tmp_path):
    result = validate(tmp_path, {"train": table()}, champion(tmp_path, table()))
    assert (result.drifted, result.drifted_features) == (False, [])
    assert "No drift in 2 compared features" in (tmp_path / "view.html").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda root: "", "there is no champion yet"),
        (lambda root: str(root), "there is no champion yet"),
        (lambda root: champion(root, None), "champion v3 has no training statistics registered"),
    ],
    ids=["none", "a folder without a model", "a model without statistics"],
)
def test_without_a_champions_data_nothing_drifted_and_it_is_said(tmp_path, capsys, given, said):
    assert not validate(tmp_path, {"train": table()}, given(tmp_path)).drifted
    assert f"drift not measured: {said}" in capsys.readouterr().out
    assert said in (tmp_path / "view.html").read_text()


def test_without_a_train_split_there_is_nothing_to_compare(tmp_path):
    assert not validate(tmp_path, {"all": table()}, champion(tmp_path, table())).drifted
    assert summary(tmp_path)["drift"]["of"] == "not measured: the data has no split train"
    assert summary(tmp_path)["skew"] == []


def test_skew_between_splits_is_recorded_by_its_own_threshold(tmp_path, capsys):
    result = validate(tmp_path, {"train": table(), "eval": table(40.0, carriers=("UA",))})
    assert not result.drifted
    [skew] = summary(tmp_path)["skew"]
    assert skew["of"] == "eval against train"
    assert [(row["feature"], row["exceeded"]) for row in skew["distances"]] == [("temp", True)]
    assert "skewed between splits: temp" in capsys.readouterr().out


def test_a_column_that_the_champion_did_not_have_is_named(tmp_path):
    result = validate(tmp_path, {"train": table()}, champion(tmp_path, table().drop(["carrier"])))
    assert not result.drifted
    assert summary(tmp_path)["drift"]["not_compared"] == ["carrier"]
    assert "both sides: carrier" in (tmp_path / "view.html").read_text()


def test_a_schema_without_comparators_compares_nothing_and_says_so(tmp_path):
    schema = 'feature { name: "temp" } feature { name: "carrier" type: BYTES } feature { name: "late" type: INT }'
    schema = schema.replace('"temp"', '"temp" type: FLOAT')
    splits = {"train": table(), "eval": table(50.0)}
    assert not validate(tmp_path, splits, champion(tmp_path, table(-50.0)), schema).drifted
    page = (tmp_path / "view.html").read_text()
    assert "no feature has a drift_comparator" in page
    assert "No feature has a skew_comparator" in page


def test_a_comparator_that_does_not_fit_stops_even_without_a_champion(tmp_path):
    schema = SCHEMA.replace("infinity_norm", "jensen_shannon_divergence")
    with pytest.raises(ConfigurationError, match="drift_comparator of the feature 'carrier'"):
        validate(tmp_path, {"train": table()}, schema=schema)


def test_what_does_not_fit_the_schema_still_stops_whatever_moved(tmp_path):
    with pytest.raises(AnomaliesFoundError, match="the data does not fit the schema"):
        validate(tmp_path, {"train": table(30.0, extra=[1] * 400)}, champion(tmp_path, table()))
    assert summary(tmp_path)["drift"]["of"] == "not measured: the data does not fit the schema"


EMAIL = 'feature { name: "email" type: BYTES annotation { tag: "%s" } }'
MAIL = [f"someone{n}@example.com" for n in range(400)]


@pytest.mark.parametrize("tag", ["personal_data", "pii", "PII"])
def test_a_column_tagged_as_personal_data_stops_the_run(tmp_path, tag):
    with pytest.raises(AnomaliesFoundError) as raised:
        validate(tmp_path, {"train": table(email=MAIL), "eval": table(email=MAIL)}, schema=SCHEMA + EMAIL % tag)
    lines = str(raised.value).splitlines()
    assert lines[0] == "the data holds personal data: email"
    assert lines[1] == "- email (train): personal data: tagged so in the schema; 400 rows (100 %)"
    assert lines[-1].startswith("fix: personal data: take the column out of the query")
    assert "email" in (tmp_path / "view.html").read_text()
    difference = (tmp_path / "anomalies" / "Split-train" / "SchemaDiff.pb").read_bytes()
    assert "email" in anomalies_pb2.Anomalies.FromString(difference).anomaly_info


@pytest.mark.parametrize("pattern", ["*mail*", "EMAIL", "e????"])
def test_a_name_on_the_deny_list_stops_the_run(tmp_path, pattern):
    with pytest.raises(AnomaliesFoundError, match="the data holds personal data: email") as raised:
        validate(tmp_path, {"train": table(email=MAIL)}, schema=SCHEMA, deny=("phone", pattern))
    assert f"its name is on the deny list ({pattern})" in str(raised.value)
    assert "someone" not in str(raised.value)


def test_no_example_of_personal_data_is_shown(tmp_path):
    domain = (
        EMAIL.replace("type: BYTES", 'type: BYTES domain: "known"') % "pii"
        + 'string_domain { name: "known" value: "x" }'
    )
    with pytest.raises(AnomaliesFoundError) as raised:
        validate(tmp_path, {"train": table(email=MAIL)}, schema=SCHEMA + domain)
    assert "not in the schema's domain" in str(raised.value)
    assert "example.com" not in str(raised.value) + str(summary(tmp_path)) + (tmp_path / "view.html").read_text()


def test_a_tagged_feature_that_is_not_in_the_data_stops_nothing(tmp_path):
    tagged = EMAIL % "pii"
    text_format.Parse(SCHEMA + tagged, work.schema_pb2.Schema())
    optional = tagged.replace("type: BYTES", "type: BYTES lifecycle_stage: DEPRECATED")
    assert not validate(tmp_path, {"train": table()}, schema=SCHEMA + optional, deny=("phone*",)).drifted


@pytest.mark.parametrize("deny", [[""], [" "], [3], "*email*"])
def test_a_deny_list_that_denies_nothing_is_refused(deny):
    with pytest.raises(ConfigurationError, match=r"deny.* is .*: expected a "):
        setting_problems.read(Parameters, {"deny": deny}, "")
