"""The data-validation gate: says no to every anomaly and to nothing at all, yes to data that merely moved."""

import math

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from kfp_ct.base.errors import AnomaliesFoundError, ConfigurationError, DataError
from kfp_ct.components.validate_data import work
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import feature_statistics, layouts

SCHEMA = """
default_environment: "TRAINING"
default_environment: "SERVING"
feature {
  name: "hour" type: INT presence { min_fraction: 1.0 min_count: 1 } shape { dim { size: 1 } }
  int_domain { min: 0 max: 23 }
}
feature { name: "gust" type: FLOAT value_count { min: 1 max: 1 } float_domain { min: 0.0 max: 100.0 } }
feature { name: "carrier" type: BYTES presence { min_fraction: 0.9 min_count: 1 } domain: "carrier" }
feature { name: "dest" type: BYTES presence { min_count: 1 } }
feature {
  name: "late" type: INT presence { min_fraction: 1.0 min_count: 1 } not_in_environment: "SERVING"
  skew_comparator { jensen_shannon_divergence { threshold: 0.0001 } }
  drift_comparator { jensen_shannon_divergence { threshold: 0.0001 } }
}
string_domain { name: "carrier" value: "UA" value: "B6" }
"""
ROWS = 100


def table(**changed):
    """A hundred rows that fit the schema, with columns changed, added, or taken out (None)."""
    columns = {
        "hour": pa.array([n % 24 for n in range(ROWS)], pa.int64()),
        "gust": pa.array([float(n) if n % 3 == 0 else None for n in range(ROWS)], pa.float32()),
        "carrier": pa.array(["UA", "B6"] * (ROWS // 2)),
        "dest": pa.array([f"D{n % 7}" for n in range(ROWS)]),
        "late": pa.array([n % 4 == 0 for n in range(ROWS)]).cast(pa.int64()),
    }
    return pa.table({name: column for name, column in (columns | changed).items() if column is not None})


class Gate:
    """The gate over tables by split."""

    def __init__(self, root):
        self.root = root
        self.anomalies, self.page = root / "anomalies", root / "view.html"
        (root / "schema").mkdir()
        (root / "statistics").mkdir()

    def validate(self, splits, label="late", environment="TRAINING", schema=SCHEMA, **rules):
        layouts.write_text(self.root / "schema" / "schema.pbtxt", schema)
        layouts.write_json(self.root / "schema" / "summary.json", {"schema_file": "flights/schema.pbtxt"})
        for name, rows in splits.items():
            path = layouts.split_path(self.root / "statistics", name) / "FeatureStats.pb"
            path.parent.mkdir(parents=True)
            path.write_bytes(feature_statistics.compute(rows.to_batches(), name).SerializeToString())
        inputs = work.Inputs(str(self.root / "statistics"), str(self.root / "schema"))
        outputs = work.Outputs(str(self.anomalies), str(self.page))
        return work.validate(inputs, outputs, Parameters(label=label, environment=environment, **rules)).metadata

    def refuse(self, splits, **options):
        """Expects a no; returns its message and the anomalies that were written before it was said."""
        with pytest.raises(AnomaliesFoundError) as raised:
            self.validate(splits, **options)
        return str(raised.value), layouts.read_json(self.anomalies / "summary.json")["anomalies"]

    def diff(self, split):
        file = layouts.split_path(self.anomalies, split) / "SchemaDiff.pb"
        return anomalies_pb2.Anomalies.FromString(file.read_bytes())


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def test_data_that_fits_the_schema_passes(gate, capsys):
    metadata = gate.validate({"train": table(), "eval": table()})
    assert metadata == {"splits": ["train", "eval"], "features": 5, "anomalies": 0}
    assert (
        "summary: no anomalies in 2 splits, 5 features; drift not measured: there is no champion yet"
        in capsys.readouterr().out
    )
    assert not gate.diff("train").anomaly_info
    assert "No anomalies" in gate.page.read_text()
    assert layouts.read_json(gate.anomalies / "summary.json")["anomalies"] == []


CARRIERS = ["UA", "B6"] * 45
CASES = {
    "all-null column": (
        {"dest": pa.array([None] * ROWS, pa.string())},
        ("dest", "FEATURE_TYPE_NOT_PRESENT", "column without any value", ROWS),
    ),
    "all-null column that may be missing": (
        {"gust": pa.array([None] * ROWS, pa.float32())},
        ("gust", "NO_VALUES", "column without any value", ROWS),
    ),
    "unseen category": (
        {"carrier": pa.array([*CARRIERS, *["ZZ"] * 10])},
        ("carrier", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "a value not in the schema's domain of 2", 10),
    ),
    "new column": (
        {"tail": pa.array(["N1"] * ROWS)},
        ("tail", "SCHEMA_NEW_COLUMN", "column that is not in the schema", ROWS),
    ),
    "wrong type": (
        {"hour": pa.array([str(n % 24) for n in range(ROWS)])},
        ("hour", "UNEXPECTED_DATA_TYPE", "expected the type INT, found STRING", ROWS),
    ),
    "missing column": (
        {"carrier": None},
        ("carrier", "SCHEMA_MISSING_COLUMN", "column of the schema that is not in the data", None),
    ),
    "too many missing values": (
        {"carrier": pa.array([*CARRIERS[:80], *[None] * 20])},
        ("carrier", "FEATURE_TYPE_LOW_FRACTION_PRESENT", "missing values (the schema wants it present in", 20),
    ),
    "floats that are NaN in every row, as numpy writes missing ones": (
        {"gust": pa.array([math.nan] * ROWS, pa.float32())},
        ("gust", "NO_VALUES", "column without any value", ROWS),
    ),
    "value above the range": (
        {"hour": pa.array([*[1] * 99, 24], pa.int64())},
        ("hour", "INT_TYPE_BIG_INT", "values above the schema's maximum of 23", None),
    ),
    "value below the range": (
        {"gust": pa.array([-1.0] * ROWS, pa.float32())},
        ("gust", "FLOAT_TYPE_SMALL_FLOAT", "values below the schema's minimum of 0", None),
    ),
    "label of one class": (
        {"late": pa.array([0] * ROWS, pa.int64())},
        ("late", "LABEL_CONSTANT", "the label has one value only", ROWS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize(("changed", "expected"), CASES.values(), ids=CASES)
def test_an_anomaly_in_any_split_stops_the_run(gate, changed, expected, split):
    splits = {"train": table(), "eval": table()} | {split: table(**changed)}
    message, anomalies = gate.refuse(splits)
    assert len(anomalies) == 1
    feature, kind, what, how_many = expected
    assert (anomalies[0]["split"], anomalies[0]["feature"], anomalies[0]["kind"]) == (split, feature, kind)
    assert anomalies[0]["what"].startswith(what)
    assert anomalies[0]["how_many"] == how_many
    assert f"- {feature} ({split}): {what}" in message
    assert feature in gate.diff(split).anomaly_info
    assert what.split("'")[0] in gate.page.read_text()


WRONG = {"carrier": pa.array([*CARRIERS, *["ZZ"] * 10])}


def test_a_warned_anomaly_goes_on_and_is_said_everywhere(gate, capsys):
    metadata = gate.validate({"train": table(), "eval": table(**WRONG)}, severities={"eval": "warn"})
    assert metadata == {"splits": ["train", "eval"], "features": 5, "anomalies": 0, "warned": 1}
    said = capsys.readouterr().out
    assert "warning: carrier (eval): a value not in the schema's domain of 2; 10 rows (10 %); such as 'ZZ'" in said
    assert "summary: 1 anomaly in 1 feature: carrier, let through with a warning, in 2 splits, 5 features; " in said
    summary = layouts.read_json(gate.anomalies / "summary.json")
    assert [(each["split"], each["severity"]) for each in summary["anomalies"]] == [("eval", "warn")]
    assert gate.diff("eval").anomaly_info["carrier"].severity == anomalies_pb2.AnomalyInfo.WARNING
    page = gate.page.read_text()
    assert "let through with a warning" in page
    assert "the run stops here" not in page


def test_a_warning_of_one_split_does_not_hide_what_stops_in_another(gate):
    splits = {"train": table(**WRONG), "eval": table(**WRONG)}
    message, anomalies = gate.refuse(splits, severities={"eval": "warn"})
    assert "(train)" in message
    assert "(eval)" not in message
    assert {each["split"]: each["severity"] for each in anomalies} == {"train": "stop", "eval": "warn"}


def test_a_skipped_split_is_not_examined_and_that_is_said(gate, capsys):
    metadata = gate.validate({"train": table(), "eval": table(**WRONG)}, severities={"eval": "skip"})
    assert (metadata["splits"], metadata["skipped"]) == (["train"], ["eval"])
    assert "no anomalies in 1 splits, 5 features; eval not examined; " in capsys.readouterr().out


@pytest.mark.parametrize("severity", ["warn", "skip"])
@pytest.mark.parametrize(
    ("rows", "rules", "kind"),
    [(table(), {"deny": ("car*",)}, "PERSONAL_DATA"), (table().slice(0, 0), {}, "NOTHING_EXAMINED")],
    ids=["personal data", "no rows"],
)
def test_no_severity_lets_through_personal_data_or_an_empty_split(gate, rows, rules, kind, severity):
    _, anomalies = gate.refuse({"train": table(), "eval": rows}, severities={"eval": severity}, **rules)
    assert ("eval", kind, "stop") in {(each["split"], each["kind"], each["severity"]) for each in anomalies}


@pytest.mark.parametrize(
    ("severities", "said"),
    [({"evl": "warn"}, "severities name evl, which the data has no split of"),
     ({"train": "skip", "eval": "skip"}, "severities skip every split")],
    ids=["unknown split", "all skipped"],
)  # fmt: skip
def test_severities_that_examine_nothing_are_refused(gate, severities, said):
    with pytest.raises(ConfigurationError, match=said):
        gate.validate({"train": table(), "eval": table()}, severities=severities)


@pytest.mark.parametrize("kind", [pa.string(), pa.float32()], ids=["text, as ingest writes it", "float"])
@pytest.mark.parametrize("splits", [("eval",), ("train", "eval")], ids=["one split", "everywhere"])
def test_a_feature_of_min_count_0_may_be_empty(gate, splits, kind):
    schema = SCHEMA.replace('"gust" type: FLOAT', '"gust" type: FLOAT presence { min_count: 0 }')
    empty = table(gust=pa.array([None] * ROWS, kind))
    data = {name: empty if name in splits else table() for name in ("train", "eval")}
    assert gate.validate(data, schema=schema)["anomalies"] == 0


def test_the_message_says_how_many_an_example_and_the_fix(gate):
    message, _ = gate.refuse({"train": table(carrier=pa.array([*CARRIERS, *["ZZ"] * 10]))})
    assert message.splitlines() == [
        "the data does not fit the schema: 1 anomaly in 1 feature: carrier",
        "- carrier (train): a value not in the schema's domain of 2; 10 rows (10 %); such as 'ZZ'",
        "expected: what flights/schema.pbtxt says",
        "fix: correct the source or the query if the data is wrong; change the schema if the world has changed",
        "fix: a new value that is real: add it to the feature's string_domain",
    ]


REQUIRED = 'feature { name: "gust" type: FLOAT presence { min_fraction: 1.0 } shape { dim { size: 1 } } } '


@pytest.mark.parametrize("missing", [math.nan, None], ids=["NaN", "null"])
@pytest.mark.parametrize("every", [True, False], ids=["every row", "some rows"])
def test_a_required_number_may_be_neither_null_nor_nan(gate, missing, every):
    values = [missing] * ROWS if every else [missing, *[1.0] * (ROWS - 1)]
    rows = pa.table({"gust": pa.array(values, pa.float32(), from_pandas=False)})
    message, anomalies = gate.refuse({"train": rows}, schema=REQUIRED, label="")
    assert [(anomaly["feature"], anomaly["how_many"]) for anomaly in anomalies] == [("gust", ROWS if every else 1)]
    if not every:
        nan = ", 1 of them NaN" if missing else ""
        assert f"gust (train): missing values{nan} (the schema wants it present in every row); 1 row (1 %)" in message


def test_a_share_of_rows_is_said_in_percent(gate):
    message, _ = gate.refuse({"train": table(carrier=pa.array([*CARRIERS[:80], *[None] * 20]))})
    assert "missing values (the schema wants it present in at least 90 % of the rows); 20 rows (20 %)" in message


@pytest.mark.parametrize(
    ("bounds", "count"), [("", 2), ("max: inf", 1), ("min: -inf max: inf", 0), ("min: 0.0 max: 9.0", None)], ids=repr
)
def test_infinite_values_stop_the_run_unless_the_schema_has_them(gate, bounds, count):
    rows = pa.table({"gust": pa.array([*[1.0] * 98, math.inf, -math.inf], pa.float32())})
    schema = REQUIRED.replace("shape", f"float_domain {{ {bounds} }} shape") if bounds else REQUIRED
    if count == 0:
        assert gate.validate({"train": rows}, schema=schema, label="")["anomalies"] == 0
        return
    message, anomalies = gate.refuse({"train": rows}, schema=schema, label="")
    if count is None:  # what TFDV says of its bounds is not said twice
        assert {anomaly["kind"] for anomaly in anomalies} == {"FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT"}
        return
    assert f"- gust (train): infinite values; {count} row" in message
    assert "float_domain { max: inf }" in message


def test_a_domain_that_the_schema_does_not_define_is_named(gate):
    schema = 'feature { name: "dest" type: BYTES domain: "airports" }'
    message, _ = gate.refuse({"train": table().select(["dest"])}, schema=schema, label="")
    assert "- dest (train): its `domain` is 'airports', of which the schema has no string_domain\n" in message
    assert "fix: a domain that is not there: add a string_domain of that name" in message


@pytest.mark.parametrize(
    ("column", "schema"),
    [("dest", 'feature { name: "dest" type: INT }'), ("dest", 'feature { name: "other" type: INT }'),
     ("dest", 'feature { name: "dest" type: BYTES string_domain { value: "A" } }')],
    ids=["type", "new column", "domain"],
)  # fmt: skip
def test_of_a_long_text_an_example_shows_the_beginning(gate, column, schema):
    review = pa.array(["It broke on the first day. " * 20] * ROWS)
    message, _ = gate.refuse({"train": pa.table({column: review})}, schema=schema, label="")
    assert "such as 'It broke on the first day. It broke on the first day. It bro'… (540 characters)" in message
    assert max(map(len, message.splitlines())) < 250


def test_a_long_list_is_cut_but_counted(gate):
    extra = {f"new_{n:02d}": pa.array([1] * ROWS) for n in range(30)}
    message, anomalies = gate.refuse({"train": table(**extra)})
    assert len(anomalies) == 30
    assert message.count("\n- new_") == 20
    assert "- and 10 more" in message


def test_one_cause_is_said_once(gate):
    missing = pa.array([None, *range(23), *[1] * 76], pa.int64())
    _, anomalies = gate.refuse({"train": table(hour=missing)})
    assert [anomaly["kind"] for anomaly in anomalies] == ["FEATURE_TYPE_LOW_FRACTION_PRESENT"]


def test_the_account_is_written_before_the_gate_says_no(gate, capsys):
    gate.refuse({"train": table(carrier=None, tail=pa.array([1] * ROWS)), "eval": table()})
    summary = layouts.read_json(gate.anomalies / "summary.json")
    assert [(split["name"], split["anomalies"]) for split in summary["splits"]] == [("train", 2), ("eval", 0)]
    assert "summary: 2 anomalies in 2 features: carrier, tail\n" in capsys.readouterr().out


def test_a_distribution_that_moved_does_not_stop_the_run(gate):
    moved = table(
        hour=pa.array([23] * ROWS, pa.int64()),
        gust=pa.array([99.0] * ROWS, pa.float32()),
        carrier=pa.array(["UA"] * ROWS),
        dest=pa.array(["somewhere new"] * ROWS),
        late=pa.array([1] * (ROWS - 1) + [0], pa.int64()),
    )
    assert gate.validate({"train": table(), "eval": moved})["anomalies"] == 0


def test_the_label_may_be_absent_when_serving(gate):
    assert gate.validate({"serving": table(late=None)}, environment="SERVING")["anomalies"] == 0


def test_the_label_may_not_be_absent_when_training(gate):
    _, anomalies = gate.refuse({"train": table(late=None)})
    assert [(anomaly["feature"], anomaly["kind"]) for anomaly in anomalies] == [("late", "SCHEMA_MISSING_COLUMN")]


@pytest.mark.parametrize(
    ("column", "kind"),
    [(None, "LABEL_MISSING"), (pa.array(["yes"] * ROWS), "LABEL_CONSTANT")],
    ids=["absent", "one class"],
)
def test_a_label_that_the_schema_leaves_free_is_still_demanded(gate, column, kind):
    schema = 'feature { name: "hour" type: INT } feature { name: "y" type: BYTES presence { min_count: 0 } }'
    rows = pa.table({"hour": pa.array(range(ROWS), pa.int64())} | ({} if column is None else {"y": column}))
    _, anomalies = gate.refuse({"train": rows}, schema=schema, label="y")
    assert [(anomaly["feature"], anomaly["kind"]) for anomaly in anomalies] == [("y", kind)]
    assert gate.diff("train").anomaly_info["y"].reason[0].short_description == kind


def test_a_constant_column_without_a_label_passes(gate):
    constant = table(late=pa.array([0] * ROWS, pa.int64()))
    assert gate.validate({"train": constant}, label="")["anomalies"] == 0


def test_a_deprecated_feature_may_be_empty(gate):
    schema = SCHEMA.replace('name: "gust" type: FLOAT', 'name: "gust" type: FLOAT lifecycle_stage: DEPRECATED')
    empty = table(gust=pa.array([None] * ROWS, pa.float32()))
    assert gate.validate({"train": empty}, schema=schema)["anomalies"] == 0


@pytest.mark.parametrize(
    ("splits", "schema", "said"),
    [
        ({}, SCHEMA, "the statistics have no split"),
        ({"train": table()}, 'default_environment: "TRAINING"', "the schema has no feature"),
        ({"train": pa.table({})}, SCHEMA, "the statistics of the split have no feature"),
        ({"train": table().slice(0, 0)}, SCHEMA, "the split has no rows"),
    ],
    ids=["no split", "no feature in the schema", "no feature in the statistics", "no rows"],
)
def test_a_gate_that_examined_nothing_says_no(gate, splits, schema, said):
    message, anomalies = gate.refuse(splits, schema=schema, label="")
    assert said in message
    assert "NOTHING_EXAMINED" in {anomaly["kind"] for anomaly in anomalies}


def test_a_schema_without_environments_is_valid_in_any(gate):
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    del schema.default_environment[:]
    for feature in schema.feature:
        del feature.not_in_environment[:]
    text = text_format.MessageToString(schema)
    assert gate.validate({"train": table()}, schema=text, environment="ANY")["anomalies"] == 0


def test_an_undeclared_environment_is_named(gate):
    with pytest.raises(ConfigurationError, match="declares no environment 'PRODUCTION'"):
        gate.validate({"train": table()}, environment="PRODUCTION")


def test_a_split_without_statistics_is_refused(gate):
    layouts.split_path(gate.root / "statistics", "train").mkdir()
    with pytest.raises(DataError, match=r"no FeatureStats.pb in .*Split-train"):
        gate.validate({})


def test_a_schema_that_is_not_there_is_named(gate):
    gate.validate({"train": table()})
    (gate.root / "schema" / "schema.pbtxt").unlink()
    with pytest.raises(ConfigurationError, match=r"no schema\.pbtxt in .*schema"):
        work.validate(work.Inputs(str(gate.root / "statistics"), str(gate.root / "schema")), None, Parameters())


def test_a_schema_that_is_none_is_named(gate):
    with pytest.raises(ConfigurationError, match=r"schema\.pbtxt cannot be parsed"):
        gate.validate({"train": table()}, schema="feature { nonsense }")


def test_sliced_statistics_are_refused(gate):
    statistics = feature_statistics.compute(table().to_batches(), "train")
    statistics.datasets.add().CopyFrom(statistics.datasets[0])
    path = layouts.split_path(gate.root / "statistics", "train") / "FeatureStats.pb"
    layouts.write_text(path, "")
    path.write_bytes(statistics.SerializeToString())
    with pytest.raises(DataError, match=r"FeatureStats\.pb holds 2 datasets"):
        gate.validate({})
