"""Real months of flights, served, logged, labelled later: a stale model must ask for retraining, a fresh one not."""

import csv
import datetime
import json
import os
import subprocess
import urllib.request
import uuid
from pathlib import Path

import pytest

import trained_home
from ct_command import SMALL, ct, run
from kfp_ct.project.environments import component_python
from repository import ROOT

pytestmark = pytest.mark.slow

QUICK = SMALL[2:]
ROWS, BATCH = 6_000, 200


@pytest.fixture(scope="module")
def june(tmp_path_factory):
    """Rows of June as callers ask and as it turned out: requests and their labels."""
    path = tmp_path_factory.mktemp("june") / "june.jsonl"
    command = [component_python(), "tests/helpers/flights_of_june.py", path, str(ROWS)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return [json.loads(line) for line in path.read_text().splitlines()]


def serve_and_ask(home: Path, rows: list) -> None:
    """Asks the real service, with its log on, for every row; writes what turned out as labels."""
    command = [component_python(), "-m", "kfp_ct.serving", "--root", home / "serving", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--request-log", home / "request_log", "--until-stdin-closes"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = f"{json.loads(process.stdout.readline())['url']}/v1/models/flights:predict"
    labels = []
    for start in range(0, len(rows), BATCH):
        part, name = rows[start : start + BATCH], str(uuid.uuid4())
        body = json.dumps({"instances": [inputs for inputs, _ in part]}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, {"X-Request-Id": name})) as answer:
            assert answer.headers["X-Request-Id"] == name
            assert len(json.load(answer)["predictions"]) == len(part)
        labels += [(name, place, late) for place, (_, late) in enumerate(part)]
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    (home / "labels").mkdir()
    with (home / "labels" / "june.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("request_id", "row", "label"), *labels])


def monitored(home: Path, *arguments: str):
    labels = f"labels={home}/labels/*.csv"
    return ct(home, "run", "flights", "--settings", "monitoring-local", "--json", "--set", labels, *arguments)


def served_and_monitored(home: Path, rows: list):
    assert (home / "serving" / "flights" / "1").is_dir()
    serve_and_ask(home, rows)
    return monitored(home)


def figures(name: str, report: dict) -> str:
    quality, skew = report["quality"], report["skew"][0]
    return (
        f"{name}: retrain {report['retrain']}; AUC {quality['value']:.3f} ({quality['low']:.3f} to "
        f"{quality['high']:.3f}), baseline {quality['baseline']:.3f}; furthest {skew['feature']} {skew['value']:.3f} "
        f"(limit {skew['limit']:.3f}); {[reason['text'] for reason in report['reasons']]}"
    )


def test_a_winters_model_serving_june_asks_for_retraining(june, shared, tmp_path):
    trained_home.copy(shared, tmp_path)
    done = served_and_monitored(tmp_path, june)

    assert done.code == 0, done.err
    report = done.summary("monitor", "report")
    print(figures("trained on January and February, serving June", report))
    assert report["retrain"] is done.task("monitor")["parameters"]["Output"] is True
    assert report["traffic"]["rows"] == ROWS
    assert report["labels"]["coverage"] == 1.0
    assert "skew" in [reason["kind"] for reason in report["reasons"]]
    assert {"temp", "dewp"} <= {item["feature"] for item in report["skew"] if item["exceeded"]}
    page = (tmp_path / "runs" / done.record["id"] / "report.html").read_text()
    assert "Monitoring" in page
    assert "could not be drawn" not in page

    lines = (tmp_path / "monitoring" / "flights.jsonl").read_text().splitlines()
    assert [json.loads(line)["retrain"] for line in lines] == [True]


def test_a_fresh_model_serving_the_month_it_was_promised_for_asks_for_nothing(june, tmp_path):
    trained = run(tmp_path, "--window-end", "2013-07-01", *QUICK)
    assert trained.code == 0, trained.err
    done = served_and_monitored(tmp_path, june)

    assert done.code == 0, done.err
    report = done.summary("monitor", "report")
    print(figures("trained on January to May, evaluated on June, serving June", report))
    assert report["retrain"] is False
    assert report["quality"]["labelled"] == ROWS
    # How long answers take says something of this machine only.
    assert [alarm for alarm in report["alarms"] if alarm["kind"] != "latency"] == []

    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    silent = monitored(tmp_path, "--window-end", future.strftime("%Y-%m-%d"))
    assert silent.code != 0
    assert "nothing examined" in silent.err
