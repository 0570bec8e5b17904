"""Features joined as they were known then: generated histories against a search by hand, and what is refused."""

import datetime
import json
import random

import duckdb
import pytest
import yaml

from ingesting import assert_refused, ingest, rows
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data.feature_views import definitions, point_in_time, views

START = datetime.datetime(2013, 1, 1)
EVENTS = "SELECT driver, known_at, CAST(trips AS BIGINT) AS trips FROM events"
SPLIT = {"method": "hash", "columns": ["id"], "eval_fraction": 0.5}


def defined(ttl="", query=EVENTS, **view):
    """A features.yaml with one view of drivers."""
    entities = [{"name": "driver", "join_keys": ["driver"]}]
    of_drivers = {"name": "trips", "entities": ["driver"], "query": query, "timestamp_field": "known_at", "ttl": ttl,
                  "features": ["trips"], **view}  # fmt: skip
    return yaml.safe_dump({"entities": entities, "feature_views": [of_drivers]})


def moment(minute):
    return START + datetime.timedelta(minutes=minute)


def history(seed):
    """Events of a few drivers, one a minute at most, and rows that ask; many of them at an event's very minute."""
    drawn = random.Random(seed)
    moments = [(driver, minute) for driver in "abc" for minute in drawn.sample(range(60), drawn.randint(0, 12))]
    events = [(driver, minute, number) for number, (driver, minute) in enumerate(moments)]
    asking = [(number, drawn.choice("abcd"), drawn.randrange(60)) for number in range(40)]
    return drawn.choice([0, 1, 7, 30]), events, asking


def known_then(driver, minute, ttl, events):
    """The newest value of a driver that is not later, by a search."""
    before = [(at, value) for name, at, value in events if name == driver and at <= minute]
    newest = max(before, default=None)
    return newest[1] if newest and (not ttl or minute - newest[0] <= ttl) else None


@pytest.mark.parametrize("seed", range(25))
def test_no_row_knows_what_came_later(seed):
    ttl, events, asking = history(seed)
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA ct; CREATE TABLE events (driver VARCHAR, known_at TIMESTAMP, trips INTEGER)")
        connection.execute("CREATE TABLE asked (id INTEGER, driver VARCHAR, known_at TIMESTAMP)")
        for table, many in (("events", [(d, moment(m), n) for d, m, n in events]),
                            ("asked", [(n, d, moment(m)) for n, d, m in asking])):  # fmt: skip
            if many:
                connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", many)
        loaded = views.load(connection, definitions.parse(defined(f"{ttl}m" if ttl else "")), "f")
        sql = point_in_time.joined("SELECT * FROM asked", "known_at", loaded)
        found = {row[0]: row[3] for row in connection.execute(sql).fetchall()}
    assert found == {number: known_then(driver, minute, ttl, events) for number, driver, minute in asking}


@pytest.fixture
def project(tmp_path):
    """Rows of two days, and events of the first."""
    (tmp_path / "t.csv").write_text("id,driver,asked\n" + "".join(
        f"{number},{'ab'[number % 2]},2013-01-0{1 + number // 10} 12:{number:02}:00\n" for number in range(20)
    ))  # fmt: skip
    (tmp_path / "events.csv").write_text(
        "driver,known_at,trips\na,2013-01-01 12:05:00,1\na,2013-01-01 12:09:00,2\nb,2013-01-01 12:30:00,3\n"
    )
    (tmp_path / "features.yaml").write_text(defined())
    return tmp_path


def request(root, timestamp="asked", **other):
    sources = {"t": str(root / "t.csv"), "events": str(root / "events.csv")}
    options = {"features": {"file": str(root / "features.yaml"), "timestamp": timestamp}}
    return {"root": root, "source": sources, "split": SPLIT, "options": options, **other}


def test_examples_have_the_features_that_were_known_at_their_time(project):
    ingest(**request(project))
    found = {row["id"]: row["trips"] for row in rows(project)}
    first_day = [None, None, None, None, None, None, 1, None, 1, None]
    second_day = [2, 3] * 5
    assert list(found.values()) == first_day + second_day
    assert json.loads((project / "out/summary.json").read_text())["features"] == {"trips": {"rows": 20, "found": 12}}
    columns = json.loads((project / "out/manifest.json").read_text())["columns"]
    assert columns == {"id": "int", "driver": "string", "asked": "string", "trips": "int"}


def test_values_that_no_longer_hold_are_missing(project):
    (project / "features.yaml").write_text(defined("2m"))
    ingest(**request(project))
    assert {row["id"]: row["trips"] for row in rows(project) if row["trips"]} == {6: 1}


def test_without_features_nothing_is_different(project):
    plain = ingest(**request(project, options={}))
    assert "features" not in json.loads((project / "out/summary.json").read_text())
    again = ingest(project, {"t": str(project / "t.csv")}, split=SPLIT, out="again")
    assert plain["fingerprint"] == again["fingerprint"]


@pytest.mark.parametrize(
    ("written", "error", "words"),
    [
        (defined(query="SELECT driver, known_at, trips FROM nowhere"), ConfigurationError,
         ["trips: its query is not valid"]),
        (defined(query="SELECT driver, known_at FROM events"), ConfigurationError,
         ["trips: its query is not valid", '"trips"']),
        (defined(query="SELECT driver, trips AS known_at, trips FROM events"), ConfigurationError,
         ["known_at is BIGINT"]),
        (defined(query="SELECT driver, known_at::TIMESTAMPTZ AS known_at, trips FROM events"), ConfigurationError,
         ["asked is TIMESTAMP", "known_at is TIMESTAMP WITH TIME ZONE"]),
        (defined(query="SELECT 1 AS driver, known_at, trips FROM events"), ConfigurationError,
         ["driver is VARCHAR", "INTEGER"]),
        (defined(query="SELECT 'a' AS driver, TIMESTAMP '2013-01-01' AS known_at, trips FROM events"), DataError,
         ["more than one row has driver a, known_at 2013-01-01 00:00:00"]),
        (defined("1s"), DataError, ["none of 20 rows has a feature of the view trips"]),
        (defined(features=["asked"], query="SELECT driver, known_at, trips AS asked FROM events"), ConfigurationError,
         ["selects asked, which the view trips adds"]),
        (defined(entities=["car"]), ConfigurationError, ["has the entity car"]),
    ],
    ids=["no table", "no column", "no time", "zones", "key type", "twice", "too old", "name", "entity"],
)  # fmt: skip
def test_what_does_not_fit_is_refused(project, written, error, words):
    (project / "features.yaml").write_text(written)
    assert_refused(error, *words, **request(project))


def test_a_time_that_is_no_column_is_refused(project):
    assert_refused(ConfigurationError, "has no column later", **request(project, timestamp="later"))


def test_the_text_is_judged_before_anything_runs():
    assert list(definitions.problems("a: [")) != []
    assert list(definitions.problems("- a")) == ["expected entities and feature_views"]
    assert list(definitions.problems(defined())) == []
