"""What unknown data is taken for: columns, label, split, leaks, schema; and what it is refused for."""

import contextlib

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2

import awkward_data
import seaweedfs
from depth import tries
from kfp_ct.base.errors import ComponentError, ConfigurationError, DataError
from kfp_ct.components.ingest import work as ingest
from kfp_ct.new.profiling import columns, leaks, work
from kfp_ct.storage import storage


def profile(path, label="Churned", time="", task=""):
    return work.profile(work.Request(str(path), label, time, task))


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    return awkward_data.write(tmp_path_factory.mktemp("data") / "awkward.csv")


@pytest.fixture(scope="module")
def found(awkward):
    return profile(awkward)


def test_every_column_is_taken_for_what_it_is(found):
    assert {each["name"]: each["role"] for each in found["columns"]} == awkward_data.COLUMNS
    assert found["numbers"] == ["amount", "visits", "grosse", "refund", "active"]
    assert found["categories"] == ["segment_x"]
    assert {name: list(marks) for name, marks in found["null_marks"].items()} == {"amount (€)": ["NA"], "größe": ["?"]}


def test_a_file_of_a_bucket_is_looked_at_as_one_of_a_folder(found, awkward, monkeypatch):
    with seaweedfs.running() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        storage.write("s3://data/in/awkward.csv", awkward)
        assert profile("s3://data/in/awkward.csv") == found
        with pytest.raises(DataError, match=r"s3://data/in/none.csv"):
            profile("s3://data/in/none.csv")


def test_a_mark_of_missing_is_a_class_among_texts_and_said_among_numbers(tmp_path):
    tiers = ["silver", "gold", "none", "NA"]
    rows = (f"{n / 7 if n % 9 else 'none'},{tiers[n % 4]},{n % 3}\n" for n in range(400))
    (tmp_path / "tiers.csv").write_text("amount,tier,v\n" + "".join(rows))
    found = profile(tmp_path / "tiers.csv", "tier")
    assert found["classes"] == dict.fromkeys(sorted(tiers), 0.25)
    assert found["columns"][0]["why"] == "numbers; missing where it says 'none' (45)"


@pytest.mark.parametrize(("values", "task"), [(2, "binary"), (3, "multiclass"), (40, "regression")])
def test_nan_is_no_label_and_no_class(tmp_path, values, task):
    rows = (f"{n / 7},{'ab'[n % 2]},{n % 5},{'nan' if n % 4 == 3 else float(n * 7 % values)}\n" for n in range(400))
    (tmp_path / "d.csv").write_text("amount,kind,v,y\n" + "".join(rows))
    found = profile(tmp_path / "d.csv", "y")
    assert found["task"] == task
    assert "nan" not in found["classes"]
    (tmp_path / "examples.sql").write_text(found["sql"])
    source = {"data": {"uri": str(tmp_path / "d.csv")}}
    request = ingest.IngestRequest(source, str(tmp_path / "examples.sql"), found["split"])
    assert sum(ingest.ingest(request, tmp_path / "examples")["rows"].values()) == 300


def test_a_column_that_alone_tells_the_label_is_warned_of(found, tmp_path):
    assert [warning.split()[0] for warning in found["warnings"]] == ["refund"]
    assert profile(awkward_data.write(tmp_path / "honest.csv", leak=False))["warnings"] == []


def test_the_query_gives_ingest_what_the_schema_says(found, awkward, tmp_path):
    (tmp_path / "examples.sql").write_text(found["sql"])
    source = {"uri": str(awkward), "format": "csv"}
    request = ingest.IngestRequest({"data": source}, str(tmp_path / "examples.sql"), found["split"])
    ingest.ingest(request, tmp_path / "examples")
    schema = text_format.Parse(found["schema"], schema_pb2.Schema())
    kinds = {"int": schema_pb2.INT, "float": schema_pb2.FLOAT, "string": schema_pb2.BYTES}
    manifest = ingest.layouts.read_manifest(tmp_path / "examples")
    assert {f.name: f.type for f in schema.feature} == {n: kinds[kind] for n, kind in manifest.columns.items()}
    assert sum(split.rows for split in manifest.splits) == 1_500
    assert [f.name for f in schema.feature if f.not_in_environment] == ["customer_id", "churned"]


def test_a_time_holds_the_latest_out(awkward):
    found = profile(awkward, time="Signed up")
    assert found["split"] == {"method": "time", "column": "signed_up", "holdout": "72 days"}
    assert "@window_end" in found["sql"]


def test_a_usual_name_is_taken_for_the_label(tmp_path):
    (tmp_path / "x.csv").write_text("a,Target\n" + "".join(f"{n / 7},{n % 2}\n" for n in range(100)))
    assert profile(tmp_path / "x.csv", "")["label"] == "target"


def fruit(path, sorts="apple pear plum", rows=120):
    """A number, a category, and labels of every kind."""
    kinds = sorts.split()
    path.write_text("size,colour,sort,grade,price,flag\n" + "".join(
        f"{(n * 37 % 101) / 7},{'red' if n % 3 else 'green'},{kinds[n % len(kinds)]},{n * 7 % 5},{n * 13 % 89 + 0.5},"
        f"{'yes' if n % 2 else 'no'}\n" for n in range(rows)
    ))  # fmt: skip
    return path


TASKS = [
    pytest.param("sort", "", "multiclass", "it has 3 different texts", ["apple", "pear", "plum"], id="texts"),
    pytest.param("grade", "", "multiclass", "it has 5 different whole numbers", ["0", "1", "2", "3", "4"], id="grades"),
    pytest.param("grade", "regression", "regression", "", [], id="grades as numbers"),
    pytest.param("price", "", "regression", "it has 89 different numbers", [], id="amounts"),
    pytest.param("flag", "", "binary", "it has two values", ["no", "yes"], id="two values"),
    pytest.param("flag", "multiclass", "multiclass", "", ["no", "yes"], id="two values as classes"),
]


@pytest.mark.parametrize(("label", "task", "taken", "why", "classes"), TASKS)
def test_the_label_says_the_task_unless_it_is_asked_for(tmp_path, label, task, taken, why, classes):
    found = profile(fruit(tmp_path / "x.csv"), label, task=task)
    assert (found["task"], found["inferred"], list(found["classes"])) == (taken, why, classes)
    schema = text_format.Parse(found["schema"], schema_pb2.Schema())
    kind = next(feature for feature in schema.feature if feature.name == label)
    types = {"binary": schema_pb2.INT, "multiclass": schema_pb2.BYTES, "regression": schema_pb2.FLOAT}
    assert kind.type == types[taken]
    if taken == "multiclass":
        assert [list(each.value) for each in schema.string_domain if each.name == kind.domain] == [classes]


def test_rows_without_a_name_are_split_by_their_content(tmp_path):
    path = fruit(tmp_path / "x.csv")
    found = profile(path, "sort")
    assert found["split"]["columns"] == ["row_key"]
    (tmp_path / "examples.sql").write_text(found["sql"])
    request = ingest.IngestRequest({"data": {"uri": str(path), "format": "csv"}}, str(tmp_path / "examples.sql"),
                             found["split"])  # fmt: skip
    ingest.ingest(request, tmp_path / "examples")
    assert all(split.rows for split in ingest.layouts.read_manifest(tmp_path / "examples").splits)


def test_classes_of_few_rows_are_left_out_and_said(tmp_path):
    path = fruit(tmp_path / "x.csv")
    path.write_text(path.read_text() + "1.0,red,it's rare,1,5.5,yes\n")
    found = profile(path, "sort")
    assert list(found["classes"]) == ["apple", "pear", "plum"]
    assert any("are left out: it's rare" in warning for warning in found["warnings"])
    assert "NOT IN ('it''s rare')" in found["sql"]


@pytest.mark.parametrize(
    ("label", "task", "message"),
    [
        pytest.param("sort", "binary", "more than two values: apple .*--task multiclass", id="three classes as two"),
        pytest.param("sort", "regression", "is no number: it is read as VARCHAR", id="texts as numbers"),
        pytest.param("id", "multiclass", "120 different values", id="too many classes"),
        pytest.param("id", "", "120 different values", id="too many texts"),
        pytest.param("price", "multiclass", "too few rows of its values", id="amounts as classes"),
        pytest.param("constant", "regression", "1 value: nothing to learn", id="a constant"),
        pytest.param("sort", "ranking", "no task 'ranking'", id="no such task"),
    ],
)
def test_a_label_that_makes_no_such_task_is_refused(tmp_path, label, task, message):
    lines = fruit(tmp_path / "x.csv").read_text().splitlines()
    made = [f"{line},{'constant,id' if not n else f'7,c{n}'}" for n, line in enumerate(lines)]
    (tmp_path / "y.csv").write_text("\n".join(made) + "\n")
    with pytest.raises(ComponentError, match=f"(?s){message}"):
        profile(tmp_path / "y.csv", label, task=task)


@pytest.mark.parametrize(("label", "task"), [("sort", "multiclass"), ("price", "regression")])
def test_a_column_that_alone_tells_the_label_is_warned_of_in_every_task(tmp_path, label, task):
    lines = fruit(tmp_path / "x.csv", rows=600).read_text().splitlines()
    place = lines[0].split(",").index(label)
    codes = {"apple": 2, "pear": 9, "plum": 4}
    told = [line.split(",")[place] for line in lines[1:]]
    leaking = [
        f"{line},{codes[value] if value in codes else float(value) ** 2}"
        for line, value in zip(lines[1:], told, strict=True)
    ]
    (tmp_path / "y.csv").write_text("\n".join([f"{lines[0]},refund", *leaking]) + "\n")
    found = profile(tmp_path / "y.csv", label)
    assert found["task"] == task
    assert [warning.split()[0] for warning in found["warnings"]] == ["refund"]


REFUSED = [
    pytest.param("a,y\n", "", "", "no rows", id="only a header"),
    pytest.param("", "", "", "is empty", id="an empty file"),
    pytest.param("a,y\n1,0\n2,1\n", "", "", "2 rows", id="two rows"),
    pytest.param("a,y\n" + "1,0\n2,0\n" * 50, "y", "", "1 value", id="one class"),
    pytest.param("a,y\n" + "1,0\n2,\n" * 50, "y", "", "1 value", id="one class and missing"),
    pytest.param("a,y\n" + "1,0\n2,0\n" * 50 + "1,1\n", "y", "", "too few rows", id="one row of a class"),
    pytest.param("a,y\n" + "1,0\n2,1\n" * 50, "z", "", "no column 'z'", id="no such label"),
    pytest.param("a,b\n" + "1,0\n2,1\n" * 50, "", "", "columns with two values are a, b", id="no usual label"),
    pytest.param("a,y\n" + "1,0\n2,1\n" * 50, "y", "t", "no column 't'", id="no such time"),
    pytest.param("a,y\n" + "1,0\n2,1\n" * 50, "y", "a", "no point in time", id="a time that is none"),
    pytest.param("a,y\n" + "1,0\n1,1\n" * 50, "y", "", "no column of .* can be a feature", id="no feature"),
    pytest.param("a,a,y\n" + "1,2,0\n2,3,1\n" * 50, "y", "", "names columns twice", id="one name twice"),
]


@pytest.mark.parametrize(("text", "label", "time", "message"), REFUSED)
def test_data_that_makes_no_project_is_refused(tmp_path, text, label, time, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ComponentError, match=message):
        profile(tmp_path / "x.csv", label, time)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no file .*nothing\.csv"):
        profile(tmp_path / "nothing.csv")


def facts(**more):
    return columns.Facts(**{"name": "x", "type": "VARCHAR", "rows": 100, "present": 100, "distinct": 5, **more})


@pytest.mark.parametrize(
    ("of", "role", "why"),
    [
        pytest.param({}, columns.CATEGORY, "5 different texts", id="few texts"),
        pytest.param({"present": 0, "distinct": 0}, columns.OUT, "empty", id="empty"),
        pytest.param({"distinct": 1}, columns.OUT, "one value", id="constant"),
        pytest.param({"distinct": 100, "length": 36}, columns.OUT, "names rows", id="a text a row"),
        pytest.param({"distinct": 90, "length": 80}, columns.OUT, "free text", id="free text"),
        pytest.param({"distinct": 60}, columns.OUT, "60 different texts", id="too many texts"),
        pytest.param({"type": "BIGINT", "distinct": 100, "low": 1, "high": 100}, columns.OUT, "names rows", id="count"),
        pytest.param({"type": "BIGINT", "distinct": 100, "high": 10**9, "name": "userId"}, columns.OUT, "names rows",
                     id="an id by name"),
        pytest.param({"type": "BIGINT", "distinct": 100, "high": 10**9}, columns.NUMBER, "numbers", id="large"),
        pytest.param({"type": "DOUBLE", "distinct": 100}, columns.NUMBER, "numbers", id="a measurement"),
        pytest.param({"type": "BOOLEAN", "distinct": 2}, columns.NUMBER, "true", id="boolean"),
        pytest.param({"type": "TIMESTAMP WITH TIME ZONE"}, columns.OUT, "point in time", id="instant"),
        pytest.param({"type": "BIGINT[]"}, columns.OUT, "BIGINT", id="list"),
    ],
)  # fmt: skip
def test_a_column_is_judged_by_its_facts(of, role, why):
    judged = columns.judge(facts(**of), "x")
    assert judged.role == role
    assert why in judged.why


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=20), unique=True, max_size=20))
def test_safe_names_are_names_and_differ(names):
    safe = columns.safe_names(names)
    assert list(safe) == names
    assert len(set(safe.values())) == len(names)
    assert all(name.isascii() and name.isidentifier() and name == name.lower() for name in safe.values())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([1.0, 2, 3, 4]), 1.0, id="a number that tells"),
        pytest.param(np.array([4.0, 3, 2, 1]), 1.0, id="the other way round"),
        pytest.param(np.array([np.nan, np.nan, 1, 1]), 1.0, id="missing tells"),
        pytest.param(np.array([1.0, 2, 1, 2]), 0.5, id="a number that tells nothing"),
        pytest.param(np.array(["a", "b", "c", "d"]), 0.5, id="texts too rare to tell"),
    ],
)
def test_the_strength_of_a_column_is_its_auc(values, expected):
    assert leaks.strength(values, np.array([0, 0, 1, 1])) == expected


def test_a_text_that_tells_the_label_is_as_strong_as_can_be():
    assert leaks.strength(np.array(["a"] * 5 + ["b"] * 5), np.array([0] * 5 + [1] * 5)) == 1.0


@settings(max_examples=tries(4, 10), deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), st.text("0123456789.-einfNA", max_size=6)),
                min_size=40, max_size=60))  # fmt: skip
def test_whatever_is_in_the_file_it_is_profiled_or_refused(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("any") / "x.csv"
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in cells]
    lines = [",".join([*row, str(number % 2), str(number / 3)]) for number, row in enumerate(quoted)]
    path.write_text("\n".join(["text,number,y,always", *lines]) + "\n", encoding="utf-8")
    with contextlib.suppress(DataError):
        assert "always" in profile(path, "y")["numbers"]
