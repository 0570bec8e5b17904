"""Labels that came later are read as all users' files are: no id and no label changes without a word."""

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_ct.base.errors import DataError
from kfp_ct.components.monitor import labels, request_log

IDS = ["00501", "501", "1_11", "11_1", "1E5", "2024-03-09T16:00:00-08:00", "42"]


def served(*ids: str) -> pa.Table:
    return pa.table({"request_id": pa.array(ids), "row": pa.array([0] * len(ids), pa.int32())})


def write(path, texts) -> str:
    if path.suffix == ".csv":
        path.write_text("request_id,label\n" + "".join(f"{id},{label}\n" for id, label in texts))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"request_id": [id for id, _ in texts], "label": [label for _, label in texts]}), path)
    else:
        path.write_text("".join(json.dumps({"request_id": id, "label": label}) + "\n" for id, label in texts))
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_ids_and_labels_are_as_they_were_written(tmp_path, suffix):
    source = write(tmp_path / f"l.{suffix}", [(id, "none" if n % 2 else f"0{n}") for n, id in enumerate(IDS)])
    joined = labels.join(served(*IDS), source)
    assert joined.rows["request_id"].to_pylist() == IDS
    assert joined.rows["label"].to_pylist() == ["none" if n % 2 else f"0{n}" for n in range(len(IDS))]
    assert (joined.labels, joined.conflicting, joined.null_marks) == (len(IDS), 0, {})


def test_marks_of_missing_among_numbers_are_no_labels_and_are_counted(tmp_path):
    source = write(tmp_path / "l.csv", [("a", 1), ("b", "NA"), ("c", 0)])
    joined = labels.join(served("a", "b", "c"), source)
    assert joined.rows["request_id"].to_pylist() == ["a", "c"]
    assert joined.null_marks == {"label": {"NA": 1}}


def test_files_whose_types_differ_have_the_common_one(tmp_path):
    pq.write_table(pa.table({"request_id": ["a"], "label": pa.array([1])}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"request_id": ["b"], "label": pa.array([0.49])}), tmp_path / "2.parquet")
    joined = labels.join(served("a", "b"), str(tmp_path / "*.parquet"))
    assert joined.rows["label"].to_pylist() == [1.0, 0.49]


def test_a_row_that_cannot_be_read_stops_the_run_with_its_line(tmp_path):
    source = write(tmp_path / "l.csv", [(f"r{n}", n % 2 if n != 7 else "oops") for n in range(50)])
    with pytest.raises(DataError, match=r'1 rows that cannot be read, such as l.csv line 9: "oops" is no BIGINT'):
        labels.join(served("r1"), source)


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / "l.csv").write_text("request_id,value\na,1\n")
    with pytest.raises(DataError, match="have no column label: they have request_id, value"):
        labels.join(served("a"), str(tmp_path / "l.csv"))


def test_a_file_of_the_request_log_that_differs_is_counted(tmp_path):
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    moment = datetime.datetime(2024, 3, 9, tzinfo=datetime.UTC)
    for name, x in (("20240309T000000.000000-1", pa.array([1])), ("20240309T000001.000000-1", pa.array([0.5]))):
        inputs = pa.StructArray.from_arrays([x], ["x"])
        columns = {"request_id": ["a"], "row": pa.array([0], pa.int32()), "time": [moment], "inputs": inputs}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    period = request_log.Period(moment - datetime.timedelta(days=1), moment + datetime.timedelta(days=1))
    traffic = request_log.read(str(tmp_path), "m", "1", period, (100, "serving_default"))
    assert (traffic.logged, len(traffic.rows)) == (2, 1)
    assert traffic.unreadable == ["20240309T000000.000000-1.parquet"]
