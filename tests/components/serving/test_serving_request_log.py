"""The request log: complete, sampled by id, rotated, bounded, and never in a reply's way."""

import collections
import json
import logging
import os
import threading
import time
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_ct.serving.request_files import METADATA, Answered, Key, RequestFiles
from kfp_ct.serving.request_log import RequestLog, Settings, is_sampled

KEY = Key("flights", 7, "serving_default")


def answered(request_id="a", rows=1, **inputs):
    inputs = inputs or {"hour": np.arange(rows, dtype=np.int64)}
    return Answered(request_id, 1_356_998_400.25, 1.5, inputs, {"probability": np.full((rows, 1), 0.25, np.float32)})


def files(folder):
    return sorted(folder.glob("*/*/*.parquet"), key=lambda path: path.name)


def rows(folder):
    return [row for path in files(folder) for row in pq.read_table(path).to_pylist()]


def counts(folder):
    total = collections.Counter()
    for path in files(folder):
        said = json.loads(pq.read_schema(path).metadata[METADATA])
        total.update({name: said[name] for name in ("requests", "sampled", "dropped", "lost")})
        total.update({f"error {status}": number for status, number in said["errors"].items()})
    return {name: number for name, number in total.items() if number}


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_every_row_has_its_line(tmp_path):
    log = RequestLog(Settings(tmp_path))
    inputs = {
        "carrier": np.array([b"AA", b"", "Ü".encode(), b"\xff"], object),
        "hour": np.array([6, -(2**63), 7, 8]),
        "distance": np.array([[1.5], [np.nan], [2.0], [3.0]]),
        "flag": np.array([True, False, True, False]),
    }
    log.answered(KEY, answered("first", 1))
    log.answered(Key("flights", 8, "serving_default"), answered("second", 4, **inputs))
    log.close()

    first, second = files(tmp_path)
    assert [path.parent.relative_to(tmp_path).as_posix() for path in (first, second)] == ["flights/7", "flights/8"]
    found = pq.read_table(second)
    assert found.schema.field("time").type == pa.timestamp("us", "UTC")
    assert found.schema.field("row").type == pa.int32()
    assert found.schema.field("latency_ms").type == pa.float32()
    assert found["row"].to_pylist() == [0, 1, 2, 3]
    assert set(found["request_id"].to_pylist()) == {"second"}
    assert found["inputs"].to_pylist() == [
        {"carrier": b"AA", "hour": 6, "distance": 1.5, "flag": 1},
        {"carrier": None, "hour": None, "distance": None, "flag": 0},
        {"carrier": "Ü".encode(), "hour": 7, "distance": 2.0, "flag": 1},
        {"carrier": b"\xff", "hour": 8, "distance": 3.0, "flag": 0},
    ]
    assert found["outputs"].to_pylist() == [{"probability": 0.25}] * 4


def test_several_requests_share_a_file_and_keep_their_rows(tmp_path):
    log = RequestLog(Settings(tmp_path))
    for name, size in (("a", 2), ("b", 1), ("c", 3)):
        log.answered(KEY, answered(name, size))
    log.close()

    assert [(row["request_id"], row["row"]) for row in rows(tmp_path)] == [
        ("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1), ("c", 2),
    ]  # fmt: skip


def test_what_has_no_value_a_row_is_left_out_and_vectors_are_lists(tmp_path):
    log = RequestLog(Settings(tmp_path))
    outputs = {"scores": np.ones((2, 3)), "threshold": np.float32(0.5), "few": np.ones(1)}
    log.answered(KEY, Answered("a", 0.0, 1.0, {"hour": np.array([1, 2])}, outputs))
    log.close()

    assert [row["outputs"] for row in rows(tmp_path)] == [{"scores": [1.0, 1.0, 1.0]}] * 2


def test_the_sample_hangs_on_the_id_alone(tmp_path):
    ids = [str(uuid.UUID(int=number * 7919)) for number in range(2_000)]
    chosen = [name for name in ids if is_sampled(name, 0.25)]

    assert chosen == [name for name in ids if is_sampled(name, 0.25)]
    assert set(chosen) <= {name for name in ids if is_sampled(name, 0.5)}
    assert 400 < len(chosen) < 600
    assert not any(is_sampled(name, 0.0) for name in ids)
    log = RequestLog(Settings(tmp_path, sample=0.25))
    for name in ids:
        log.answered(KEY, answered(name))
    log.close()
    assert [row["request_id"] for row in rows(tmp_path)] == chosen
    assert counts(tmp_path) == {"requests": 2_000, "sampled": len(chosen)}


def test_errors_are_counted_though_no_row_was_logged(tmp_path):
    log = RequestLog(Settings(tmp_path, sample=0))
    log.answered(KEY, answered())
    log.refused("flights", 7, 400)
    log.refused("flights", 7, 503)
    log.close()

    assert counts(tmp_path) == {"requests": 3, "error 400": 1, "error 503": 1}
    assert rows(tmp_path) == []


def test_a_file_is_written_when_enough_rows_wait(tmp_path):
    log = RequestLog(Settings(tmp_path, file_rows=10))
    log.answered(KEY, answered(rows=10))
    wait_for(lambda: files(tmp_path))
    log.close()

    assert len(rows(tmp_path)) == 10


def test_a_file_is_written_when_rows_have_waited_long_enough(tmp_path):
    log = RequestLog(Settings(tmp_path, file_seconds=0.05))
    log.answered(KEY, answered())
    wait_for(lambda: files(tmp_path))
    log.close()


class Slow(RequestFiles):
    """A disk that does not answer until it is let."""

    def __init__(self, folder):
        super().__init__(folder, 1 << 30)
        self.asked, self.let = threading.Event(), threading.Event()

    def write(self, *arguments):
        self.asked.set()
        assert self.let.wait(60)
        return super().write(*arguments)


def test_a_disk_that_hangs_costs_rows_but_no_waiting(tmp_path):
    disk = Slow(tmp_path)
    log = RequestLog(Settings(tmp_path, file_rows=1, queue_rows=5), files=disk)
    log.answered(KEY, answered("first"))
    assert disk.asked.wait(60)
    for number in range(20):  # returns though the writer is stuck
        log.answered(KEY, answered(str(number)))
    disk.let.set()
    log.close()

    assert [row["request_id"] for row in rows(tmp_path)] == ["first", "0", "1", "2", "3", "4"]
    assert counts(tmp_path) == {"requests": 21, "sampled": 21, "dropped": 15}


class Full(RequestFiles):
    """A disk without space, until it has some."""

    space = False

    def write(self, *arguments):
        if not self.space:
            raise OSError(28, "No space left on device")
        return super().write(*arguments)

    def trim(self):
        raise OSError(13, "Permission denied")


def test_a_full_disk_is_said_once_counted_and_served_on(tmp_path, caplog):
    disk = Full(tmp_path, 1)
    log = RequestLog(Settings(tmp_path, file_rows=1), files=disk)
    with caplog.at_level(logging.WARNING, "serving"):
        for number in range(3):
            log.answered(KEY, answered(str(number)))
            wait_for(lambda: not log._waiting and not log._kept)
        disk.space = True
        log.answered(KEY, answered("kept"))
        log.close()

    assert [record.message for record in caplog.records if "served on" in record.message] == [
        "the request log cannot be written, requests are served on: OSError: [Errno 28] No space left on device"
    ]
    assert [row["request_id"] for row in rows(tmp_path)] == ["kept"]
    assert counts(tmp_path) == {"requests": 4, "sampled": 4, "lost": 3}


def test_a_folder_that_is_a_file_does_not_fail_either(tmp_path, caplog):
    (tmp_path / "log").write_text("")
    log = RequestLog(Settings(tmp_path / "log"))
    log.answered(KEY, answered())
    log.close()

    assert "served on" in caplog.text


def test_the_oldest_files_go_when_all_together_are_too_large(tmp_path):
    one = RequestFiles(tmp_path, 1 << 30)
    paths = [one.write(KEY, [answered(str(number))], "{}") for number in range(4)]
    size = paths[0].stat().st_size
    RequestFiles(tmp_path, int(size * 2.5)).trim()

    assert files(tmp_path) == paths[2:]


def test_what_a_killed_server_left_is_removed_in_time(tmp_path):
    folder = tmp_path / "flights" / "7"
    folder.mkdir(parents=True)
    old, young = folder / ".old.partial", folder / ".young.partial"
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (0, 0))
    RequestFiles(tmp_path, 1).trim()

    assert not old.exists()
    assert young.exists()


def test_nothing_is_taken_after_it_was_closed(tmp_path):
    log = RequestLog(Settings(tmp_path))
    log.close()
    log.answered(KEY, answered())

    assert rows(tmp_path) == []


@pytest.mark.parametrize("bad", [np.ones((2, 0)), np.ones(0)], ids=["no width", "no rows"])
def test_arrays_without_a_value_do_not_fail(bad, tmp_path, caplog):
    log = RequestLog(Settings(tmp_path))
    log.answered(KEY, Answered("a", 0.0, 1.0, {"hour": np.array([1, 2])}, {"odd": bad}))
    log.close()

    assert len(rows(tmp_path)) == 2
    assert not caplog.records
