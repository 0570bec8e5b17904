"""Bad input, as a person meets it: one clear message, an exit code, nothing lost and nothing deployed."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from ct_command import run
from repository import DATA

pytestmark = pytest.mark.slow

FAILED, NOT_STARTED = 4, 2


@pytest.fixture(scope="module")
def flights():
    """Every 25th flight of January and February, as rows of the real file."""
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
        lines = io.TextIOWrapper(archive.open("flights.csv"), "utf-8")
        rows = [row for row in csv.DictReader(lines) if row["month"] in ("1", "2")]
    return rows[::25]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def source(tmp_path, flights):
    def _write(change=None, without=""):
        rows = [dict(row) for row in flights]
        for number, row in enumerate(rows):
            if change:
                change(number, row)
            row.pop(without, None)
        path = tmp_path / "flights.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return ("--window-end", "2013-03-01", "--set", f"sources.flights.uri={path}")

    return _write


def broken(share):
    def _break(number, row):
        if number % 100 < share * 100:
            row["distance"] = "far"

    return _break


def refused(done, task, *words):
    """Asserts that the run stopped in a task and said these words in one message; returns the message."""
    assert done.code == FAILED, done.err
    assert done.task(task)["state"] == "FAILED"
    said = done.task(task)["error"]
    assert [word for word in words if word not in said] == [], said
    assert done.states()["deploy"] == "SKIPPED"
    assert said.splitlines()[0] in done.err
    return said


def test_a_missing_file(home):
    done = run(home, "--set", "sources.flights.uri=/nowhere/flights.csv")
    refused(done, "ingest", "/nowhere/flights.csv", "fix:")


def test_a_missing_column(home, source):
    refused(run(home, *source(without="carrier")), "ingest", "carrier", "expected:")


def test_a_few_values_of_the_wrong_type_are_quarantined_and_counted(home, source):
    done = run(home, *source(broken(0.01)), "--set", "hyperparameters.epochs=1", "--set", "label=carrier_")
    examples = done.task("ingest")
    assert examples["state"] == "SUCCEEDED"
    quarantine = (Path(examples["artifacts"]["examples"]["uri"]) / "quarantine.jsonl").read_text()
    assert "distance" in quarantine
    assert "far" in quarantine
    assert str(len(quarantine.splitlines())) in examples["summary"]
    # The run was only wanted up to here: a label nobody has stops it.
    refused(done, "validate-data", "carrier_")


def test_many_values_of_the_wrong_type(home, source):
    refused(run(home, *source(broken(0.6))), "ingest", "distance", "far", "fix:")


def test_an_empty_window(home, source):
    source = [*source(), "--window-start", "2015-01-01", "--window-end", "2015-03-01"]
    refused(run(home, *source), "ingest", "2015-01-01", "2015-03-01")


def test_an_all_null_column(home, source):
    def empty(_, row):
        row["sched_arr_time"] = "NA"

    refused(run(home, *source(empty)), "validate-data", "sched_arr_time", "fix:")


def test_an_unseen_category(home, source):
    def rename(number, row):
        if number % 50 == 0:
            row["carrier"] = "Q9"

    refused(run(home, *source(rename)), "validate-data", "carrier", "Q9", "fix:")


def test_a_label_of_one_class(home, source):
    def punctual(_, row):
        if row["arr_delay"] != "NA":
            row["arr_delay"] = "-3"

    refused(run(home, *source(punctual)), "validate-data", "late", "fix:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--set", "max_bad=1"), "did you mean max_bad_fraction?", id="unknown-setting"),
        pytest.param(("--set", "sources=3"), "sources is 3: expected an object", id="wrong-type"),
        pytest.param(("--set", "nonsense"), "expected: --set NAME=VALUE", id="no-assignment"),
        pytest.param(("--settings", "moon"), "there are no settings", id="unknown-environment"),
        pytest.param(("--home", "/proc/nowhere"), "fix: set CT_HOME (or pass --home)", id="not-writable"),
    ],
)
def test_what_cannot_start_starts_nothing(tmp_path, arguments, said):
    done = run(tmp_path / "home", *arguments)
    assert done.code == NOT_STARTED
    assert said in done.err
    assert not (tmp_path / "home").exists()
