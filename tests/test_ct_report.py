"""The run report: a page for people, JSON for programs, whatever the run came to."""

import copy
import dataclasses
import html.parser
import itertools
import json
import os
import re
import subprocess
import sys

import pytest

from components import artifacts
from ct import record
from ct.local.events import State
from ct.report import dag, layout, page, report, words

UPSTREAM = {
    "ingest": [],
    "resolve-champion": ["ingest"],
    "statistics": ["ingest"],
    "schema": ["statistics"],
    "validate-data": ["schema", "statistics"],
    "transform": ["ingest", "schema", "validate-data"],
    "tune": ["ingest", "schema", "transform"],
    "train": ["ingest", "resolve-champion", "schema", "transform", "tune"],
    "evaluate": ["ingest", "resolve-champion", "schema", "train"],
    "validate-infra": ["evaluate", "ingest", "resolve-champion", "train"],
    "register": ["evaluate", "validate-infra", "ingest", "resolve-champion", "train"],
    "deploy": ["evaluate", "validate-infra", "register", "train"],
}
STARTED = "2026-11-23T10:00:00.000+00:00"
HOSTILE = "<script>alert('x')</script>&\"<b>"


def metrics(auc):
    return {"auc": auc, "binary_crossentropy": 1.3 - auc, "example_count": 27075.0, "calibration": 0.98}


def curve(shift):
    return {
        "roc": {"fpr": [0.0, 0.3, 1.0], "tpr": [0.0, 0.6 + shift, 1.0], "thresholds": [1.9, 0.4, 0.0]},
        "pr": {"recall": [0.1, 0.6, 1.0], "precision": [0.9, 0.6 + shift, 0.31], "thresholds": [0.8, 0.4, 0.0]},
        "calibration": [{"rows": 10, "prediction": p, "positive_rate": p + shift} for p in (0.1, 0.4, 0.7)],
        "confusion": {"threshold": 0.5, "tp": 2770, "fp": 1451, "fn": 5570, "tn": 17284},
    }


EVALUATION = {
    "label": "late",
    "rows": 27075,
    "positive_rate": 0.308,
    "metrics": {"challenger": metrics(0.7455), "champion": metrics(0.7168)},
    "slices": [
        {"slice": "origin=EWR", "rows": 9736, "challenger": metrics(0.7441), "champion": metrics(0.7156)},
        {"slice": "carrier=WN", "rows": 1008, "challenger": metrics(0.7876), "champion": metrics(0.7908)},
        {"slice": "carrier=OO", "rows": 2, "challenger": metrics(0.0), "champion": metrics(0.0)},
    ],
    "curves": {"challenger": curve(0.1), "champion": curve(0.05)},
    "baseline": {"prior": 0.237, "metric": "auc", "value": 0.5, "gain": 0.2455, "low": 0.239, "high": 0.252},
    "comparison": {
        "metric": "auc", "challenger": 0.7455, "champion": 0.7168, "gain": 0.0287, "low": 0.026, "high": 0.0314,
        "confidence": 0.95,
    },
    "slice_comparison": [
        {"slice": "carrier=WN", "rows": 1008, "gain": -0.0032, "low": -0.01, "high": 0.0036},
        {"slice": "origin=EWR", "rows": 9736, "gain": 0.0285, "low": None, "high": None},
    ],
    "blessed": True,
    "compared_with": "1",
    "gates": {"metric": "auc", "min_slice_rows": 500},
    "checks": [
        {"gate": "threshold", "passed": True, "reason": "AUC 0.746 ≥ 0.65 on overall"},
        {"gate": "champion", "passed": True, "reason": "AUC 0.746 > champion v1's 0.717 on the same 27,075 rows"},
    ],
}  # fmt: skip
INFRA = {
    "blessed": True, "rows": 200, "measured": {"p50_ms": 4.1}, "mismatches": [],
    "checks": [{"gate": "answers", "passed": True, "reason": "400 answers equal the model's own within 1e-05"}],
    "budgets": [{"title": "latency p50", "unit": "ms", "value": 4.1, "budget": None, "at_least": False}],
}  # fmt: skip
REFUSAL = {"gate": "champion", "passed": False, "reason": "AUC 0.612 < champion v1's 0.717 on the same 27,075 rows"}
REFUSED = EVALUATION | {"blessed": False, "checks": [EVALUATION["checks"][0], REFUSAL]}
ANOMALY = {
    "split": "train", "feature": "carrier", "kind": "ENUM", "what": "a value not in the schema's domain of 15",
    "how_many": 23524, "fraction": 0.176, "example": "'UA'",
}  # fmt: skip
ANOMALIES = {
    "features": 21, "splits": [{"name": "train", "rows": 133603, "features": 21}], "anomalies": [],
    "drift": {"of": "not measured: there is no champion yet", "distances": [], "not_compared": []}, "skew": [],
}  # fmt: skip
MANIFEST = {
    "splits": [{"name": "train", "rows": 133603, "files": ["a"]}, {"name": "eval", "rows": 27075, "files": ["b"]}],
    "columns": {"carrier": "string", "temp": "float", "late": "int"},
    "fingerprint": "8898b75be88f",
    "sources": {"flights": ".ct/data/flights.csv.zip"},
    "window": {"start": "2013-01-01T00:00:00", "end": "2013-07-01T00:00:00"},
    "split_by": {"method": "time", "column": "scheduled_at", "holdout": "1 month"},
    "rejected_rows": 12,
    "format": "parquet",
}


def statistics_of(split, rows):
    temperature = {
        "name": "temp", "type": "float", "present": rows // 2, "missing": 0.5, "min": 10.9, "median": 46.0,
        "mean": 46.5, "std": 13.9, "max": 93.0, "zeros": 0, "nan": 0,
        "histogram": [{"low": 10.0, "high": 50.0, "count": 60.0}, {"low": 50.0, "high": 93.0, "count": 40.0}],
    }  # fmt: skip
    carrier = {
        "name": "carrier", "type": "string", "present": rows, "missing": 0.0, "unique": 16, "average_length": 2.0,
        "top_values": [{"value": "UA", "count": rows // 5}, {"value": "B6", "count": rows // 6}],
    }  # fmt: skip
    empty = {
        "name": "gust", "type": "float", "present": 0, "missing": 1.0, "min": None, "median": None, "mean": None,
        "std": None, "max": None, "zeros": 0, "nan": 0, "histogram": [],
    }  # fmt: skip
    return {"name": split, "num_examples": rows, "features": [temperature, carrier, empty]}


SUMMARIES = {
    ("ingest", "examples", artifacts.MANIFEST): MANIFEST,
    ("statistics", "statistics", artifacts.SUMMARY): {
        "splits": [statistics_of("train", 133603), statistics_of("eval", 27075)]
    },
    ("validate-data", "anomalies", artifacts.SUMMARY): ANOMALIES,
    ("tune", "trials", artifacts.SUMMARY): {
        "objective": "val_auc", "direction": "max", "best": "1", "values": {"rate": 0.1}, "rows": 800, "overruled": [],
        "held_out_rows": 200, "hyperparameters": {"rate": 0.1}, "tuning": {"trials": 2}, "trials": [
            {"id": "0", "score": None, "values": {"rate": 9.0}, "seconds": 2.0, "why": "val_auc is nan"},
            {"id": "1", "score": 0.7123, "values": {"rate": 0.1}, "seconds": 2.5, "why": ""},
        ],
    },
    ("train", "model_run", artifacts.SUMMARY): {
        "rows": 133603, "epochs": 2, "steps": 262, "best_epoch": 2,
        "history": [{"loss": 0.51, "auc": 0.68, "val_loss": 0.48}, {"loss": 0.48, "auc": 0.73, "val_loss": 0.47}],
    },
    ("evaluate", "evaluation", artifacts.SUMMARY): EVALUATION,
    ("validate-infra", "infra_validation", artifacts.SUMMARY): INFRA,
    ("deploy", "deployment", artifacts.SUMMARY): {
        "model": "flights", "version": "2", "previous": "1", "kept": ["1"], "path": "/srv/serving/flights",
    },
}  # fmt: skip


class Laboratory:
    """A folder of local state in which runs are made as the engine leaves them."""

    def __init__(self, home):
        self.home = home
        self.folder = home / "runs" / "20261123-100000-abcd"

    def run(self, summaries=SUMMARIES, state=record.SUCCEEDED):
        tasks = [self._task(name, waits, summaries) for name, waits in UPSTREAM.items()]
        tasks[-2].parameters = {"version": "2", "previous_champion": "1"}
        return record.Run(
            id=self.folder.name, project="flights", environment="local", pipeline="pipelines.training",
            parameters={"model_name": "flights", "window_end": "2013-07-01", "gates": {"metric": "auc"}},
            cause="on demand", commit="0123456789abcdef-dirty", code_version="2fe4233a", image="ct-python:2fe4",
            versions={"python": "3.11.7", "kfp": "2.17.0"}, user="ann", process=1, started=STARTED, state=state,
            ended="2026-11-23T10:00:52.000+00:00", seconds=52.4, tasks=tasks,
        )  # fmt: skip

    def written(self, run):
        path = report.write(run, self.folder)
        return path.read_text(), json.loads((self.folder / report.JSON).read_text())

    def keep(self, task, artifact, file, content):
        root = self.home / "artifacts" / "flights-training-1" / task / artifact
        artifacts.write_json(root / file, content)
        return root

    def _task(self, name, waits, summaries):
        found = record.Task(
            name, name.replace("-", "_"), waits, State.SUCCEEDED, STARTED, 5.0, finding=f"what {name} found"
        )
        for (task, artifact, file), content in summaries.items():
            if task == name:
                root = self.keep(task, artifact, file, content)
                found.artifacts[artifact] = {"uri": str(root), "type": "system.Artifact", "metadata": {}}
        return found

    def stopped(self, at, error, summaries=SUMMARIES, state=record.FAILED):
        """A run that stopped in a step: what comes after it never ran and left nothing."""
        names = list(UPSTREAM)
        before = names[: names.index(at)]
        run = self.run({key: value for key, value in summaries.items() if key[0] in before}, state)
        run.task("register").parameters = {}
        for task in run.tasks:
            if task.name == at:
                task.state, task.error, task.finding = State.FAILED, error, ""
            elif task.name not in before:
                task.state, task.seconds, task.started, task.finding = State.SKIPPED, 0.0, "", ""
        return run


@pytest.fixture
def laboratory(tmp_path):
    return Laboratory(tmp_path)


class Reader(html.parser.HTMLParser):
    """Collects a page's text and addresses, and whether its elements are closed in order."""

    VOID = ("meta", "br")

    def __init__(self, page):
        super().__init__()
        self.text, self.addresses, self.tags, self.open, self.headings = "", [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def with_summary(key, content):
    return SUMMARIES | {key: content}


def with_evaluation(evaluation):
    return with_summary(("evaluate", "evaluation", artifacts.SUMMARY), evaluation)


def not_drawn(drawn):
    return re.findall(r"This part could not be drawn[^<]*", drawn)


def test_a_blessed_run_says_what_is_served_and_why(laboratory):
    drawn, account = laboratory.written(laboratory.run())
    text = Reader(drawn).text
    assert "Blessed: version 2 is the champion and is served" in text
    assert "takes over from champion v1" in text
    for check in EVALUATION["checks"]:
        assert check["reason"] in text
    assert account["decision"]["outcome"] == "blessed"
    assert account["decision"]["version"] == "2"
    assert account["checks"] == [*EVALUATION["checks"], *INFRA["checks"]]


def test_every_part_of_a_finished_run_is_drawn_in_order(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    assert Reader(drawn).headings == [name for name in page.SECTIONS if name not in ("Predictions", "Monitoring")]
    assert not_drawn(drawn) == []


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("0.7455", id="metric"),
        pytest.param("champion v1: 0.7168", id="champion's metric"),
        pytest.param("+0.0287 (95 % interval +0.0260 to +0.0314)", id="interval"),
        pytest.param("2 trials, 1 failed; best val_auc 0.7123", id="search"),
        pytest.param("val_auc is nan", id="failed trial"),
        pytest.param("160,678", id="rows"),
        pytest.param("12 rejected", id="rejected rows"),
        pytest.param("until 2013-07-01", id="window"),
        pytest.param("last 1 month held out", id="holdout"),
        pytest.param("52 s", id="duration"),
        pytest.param("flights v2", id="served version"),
        pytest.param("/srv/serving/flights", id="place it is served from"),
        pytest.param("carrier=WN", id="slice"),
        pytest.param("8898b75be88f", id="data fingerprint"),
        pytest.param("0123456789abcdef-dirty", id="commit"),
        pytest.param("ct-python:2fe4", id="image"),
        pytest.param("on demand, by ann", id="cause and user"),
        pytest.param("what transform found", id="finding"),
    ],
)
def test_the_page_shows_the_key_facts(laboratory, said):
    drawn, _ = laboratory.written(laboratory.run())
    assert said in Reader(drawn).text


def test_the_json_holds_the_same_numbers(laboratory):
    _, account = laboratory.written(laboratory.run())
    assert account["metrics"] == EVALUATION["metrics"]
    assert account["comparison"]["low"] == 0.026
    assert [entry["slice"] for entry in account["slices"]] == ["origin=EWR", "carrier=WN", "carrier=OO"]
    assert account["data"] == MANIFEST
    assert account["deployment"]["path"] == "/srv/serving/flights"
    assert account["training"]["best_epoch"] == 2
    assert {task["name"] for task in account["run"]["tasks"]} == set(UPSTREAM)


def test_a_refused_model_is_reported_with_the_reason_first_and_the_champion_kept(laboratory):
    later = ("validate-infra", "register", "deploy")
    summaries = {key: value for key, value in with_evaluation(REFUSED).items() if key[0] not in later}
    run = laboratory.run(summaries)
    for name in later:
        task = run.task(name)
        task.state, task.started, task.seconds, task.parameters = State.SKIPPED, "", 0.0, {}
    drawn, account = laboratory.written(run)
    text = Reader(drawn).text
    assert "Not blessed: 1 of 2 gates said no" in text
    assert "Champion v1 stays." in text
    assert text.index(REFUSAL["reason"]) < text.index(EVALUATION["checks"][0]["reason"])
    assert account["decision"]["outcome"] == "refused"


def test_a_first_model_has_no_champion_column(laboratory):
    alone = copy.deepcopy(EVALUATION) | {"compared_with": "", "comparison": None, "slice_comparison": []}
    alone["curves"].pop("champion")
    for of in (alone["metrics"], *alone["slices"]):
        of["champion"] = {}
    drawn, _ = laboratory.written(laboratory.run(with_evaluation(alone)))
    text = Reader(drawn).text
    assert "it is the first champion" in text
    assert "no champion yet" in text
    assert "difference" not in text
    assert not_drawn(drawn) == []


def test_a_failed_run_says_where_why_and_how_to_mend(laboratory):
    error = "the data does not fit the schema\n- carrier: a new value\nexpected: what the schema says\nmend: edit it"
    drawn, account = laboratory.written(laboratory.stopped("validate-data", error))
    text = Reader(drawn).text
    assert "Failed in validate-data: the data does not fit the schema" in text
    assert "carrier: a new value" in text
    assert re.search(r"mend:\s*edit it", text)
    assert "Nothing was deployed" in text
    assert account["decision"]["step"] == "validate-data"
    assert account["decision"]["outcome"] == "failed"


def test_a_crash_shows_its_last_words_as_they_were(laboratory):
    drawn, _ = laboratory.written(
        laboratory.stopped("train", "stopped unexpectedly (killed by signal 9)\n  at work.py")
    )
    assert "Failed in train: stopped unexpectedly (killed by signal 9)" in Reader(drawn).text
    assert "<pre>  at work.py</pre>" in drawn


def test_anomalies_that_stopped_the_run_are_found_though_the_task_has_no_outputs(laboratory):
    run = laboratory.stopped("validate-data", "the data does not fit the schema")
    laboratory.keep("validate-data", "anomalies", artifacts.SUMMARY, ANOMALIES | {"anomalies": [ANOMALY]})
    drawn, account = laboratory.written(run)
    assert "23,524 (18 %)" in Reader(drawn).text
    assert account["anomalies"]["anomalies"] == [ANOMALY]


def test_anomalies_of_an_earlier_run_are_not_taken_for_this_ones(laboratory):
    run = laboratory.stopped("validate-data", "no statistics")
    root = laboratory.keep("validate-data", "anomalies", artifacts.SUMMARY, ANOMALIES | {"anomalies": [ANOMALY]})
    os.utime(root, (0, 0))
    _, account = laboratory.written(run)
    assert account["anomalies"] == {}


@pytest.mark.parametrize(
    ("error", "said"),
    [pytest.param("interrupted", "Interrupted in train", id="in a step")],
)
def test_an_interrupted_run_says_so(laboratory, error, said):
    drawn, account = laboratory.written(laboratory.stopped("train", error, state=record.INTERRUPTED))
    assert said in Reader(drawn).text
    assert account["decision"]["outcome"] == "interrupted"


def test_a_run_interrupted_between_steps_names_the_next_one(laboratory):
    run = laboratory.stopped("train", "interrupted", state=record.INTERRUPTED)
    run.task("train").state, run.task("train").error = State.SKIPPED, ""
    assert "Interrupted before train" in Reader(laboratory.written(run)[0]).text


def test_a_failed_deployment_says_that_the_model_is_only_registered(laboratory):
    run = laboratory.stopped("deploy", "the serving folder cannot be written\nmend: free the disk")
    run.task("register").parameters = {"version": "2"}
    drawn, account = laboratory.written(run)
    assert "Version 2 is registered but was not deployed." in Reader(drawn).text
    assert account["checks"] == [*EVALUATION["checks"], *INFRA["checks"]]


@pytest.mark.parametrize("at", list(UPSTREAM))
def test_a_run_that_stopped_anywhere_has_a_whole_report(laboratory, at):
    drawn, _ = laboratory.written(laboratory.stopped(at, "no disk\nmend: free some"))
    assert f"Failed in {at}: no disk" in Reader(drawn).text
    assert not_drawn(drawn) == []


def test_a_run_without_any_task_has_a_report(laboratory):
    run = dataclasses.replace(laboratory.run({}, record.FAILED), tasks=[])
    assert "Failed before its end" in Reader(laboratory.written(run)[0]).text


def test_every_task_is_a_node_and_a_row(laboratory):
    run = laboratory.run()
    drawn = str(dag.draw(run.tasks))
    across, _, down = drawn.partition('<div class="dag narrow">')
    for name in UPSTREAM:
        assert across.count(f">{name}</text>") == 1
        assert down.count(f">{name}</text>") == 1
    assert across.count('<g class="node') == len(UPSTREAM)
    text = Reader(laboratory.written(run)[0]).text
    assert all(f"what {name} found" in text for name in UPSTREAM)


def test_states_differ_by_word_and_sign_not_only_by_colour(laboratory):
    run = laboratory.stopped("train", "no disk")
    run.task("ingest").state = State.CACHED
    drawn, _ = laboratory.written(run)
    text = Reader(drawn).text
    assert all(word in text for word in ("from cache", "succeeded", "failed", "skipped"))
    signs = re.findall(r'class="node (\w+)".*?<path class="sign"[^>]* d="([^"]+)"', drawn, re.DOTALL)
    assert len(set(signs)) == len({style for style, _ in signs}) == 4


def test_the_page_refers_to_nothing_outside_the_machine(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    reader = Reader(drawn)
    assert all(re.match(r"#|logs/|\.\./", address) for address in reader.addresses)
    assert not re.search(r"@import|url\(|https?://", drawn)
    assert not {"script", "link", "img", "iframe"}.intersection(reader.tags)


def test_links_to_artifacts_survive_a_move_of_the_whole_folder(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    linked = [address for address in Reader(drawn).addresses if address.startswith("../")]
    assert linked
    assert all((laboratory.folder / address).exists() for address in linked)


def test_hostile_names_are_text(laboratory):
    run = laboratory.stopped("train", f"{HOSTILE}\nmend: {HOSTILE}")
    run.project = run.user = run.cause = run.commit = run.parameters["model_name"] = HOSTILE
    run.task("ingest").finding = HOSTILE
    run.tasks[1].name = HOSTILE
    run.task("train").upstream = [HOSTILE]
    drawn, _ = laboratory.written(run)
    assert "<script" not in drawn
    assert "alert('x')" in Reader(drawn).text


def test_hostile_data_is_text(laboratory):
    evil = json.loads(json.dumps(SUMMARIES[("evaluate", "evaluation", artifacts.SUMMARY)]))
    evil["slices"][0]["slice"] = evil["slice_comparison"][0]["slice"] = evil["checks"][0]["reason"] = HOSTILE
    evil["compared_with"] = HOSTILE
    statistics = copy.deepcopy(SUMMARIES[("statistics", "statistics", artifacts.SUMMARY)])
    statistics["splits"][0]["features"][1]["top_values"][0]["value"] = HOSTILE
    statistics["splits"][0]["features"][0]["name"] = HOSTILE
    summaries = with_evaluation(evil) | {("statistics", "statistics", artifacts.SUMMARY): statistics}
    drawn, _ = laboratory.written(laboratory.run(summaries))
    assert "<script" not in drawn
    assert not_drawn(drawn) == []
    Reader(drawn)


def test_small_slices_are_folded_away_and_greatest_losses_come_first(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    part = drawn[drawn.index("<h2>Slices</h2>") : drawn.index("<h2>Curves</h2>")]
    order = [part.index(name) for name in ("carrier=WN", "origin=EWR", "1 slice of fewer than 500 rows", "carrier=OO")]
    assert order == sorted(order)


def test_less_is_better_for_a_loss(laboratory):
    drawn, _ = laboratory.written(laboratory.run())
    row = re.search(r"<th[^>]*>log loss</th>.*?</tr>", drawn)
    assert "better" in row.group()


def test_numbers_that_json_does_not_know_become_null(laboratory):
    run = laboratory.run()
    run.parameters["rate"] = float("nan")
    _, account = laboratory.written(run)
    assert account["run"]["parameters"]["rate"] is None


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"checks": [], "blessed": True, "rows": 1, "metrics": {}, "slices": [{"slice": 1}]}, id="partial"),
        pytest.param(EVALUATION | {"curves": {"challenger": {}}}, id="curves without points"),
        pytest.param(EVALUATION | {"slices": [{"auc": 0.7}], "comparison": {"gain": 0.1}}, id="another version's"),
    ],
)
def test_a_summary_of_another_shape_does_not_cost_the_report(laboratory, broken):
    drawn, account = laboratory.written(laboratory.run(with_evaluation(broken)))
    assert "Blessed" in Reader(drawn).text
    assert account["run"]["state"] == "SUCCEEDED"


def test_a_summary_that_is_not_json_is_as_absent(laboratory):
    run = laboratory.run()
    (laboratory.home / "artifacts/flights-training-1/train/model_run/summary.json").write_text("{")
    drawn, account = laboratory.written(run)
    assert "Training" not in Reader(drawn).headings
    assert account["training"] == {}


def test_the_page_stays_small(laboratory):
    many = EVALUATION | {"slices": EVALUATION["slices"] * 100}
    drawn, _ = laboratory.written(laboratory.run(with_evaluation(many)))
    assert len(drawn.encode()) < 500_000


def test_nothing_half_written_is_left(laboratory):
    laboratory.written(laboratory.run())
    assert sorted(path.name for path in laboratory.folder.iterdir()) == ["report.html", "report.json"]


def test_the_report_is_light_to_import():
    heavy = ("tensorflow", "pandas", "pyarrow", "numpy", "kfp", "mlflow")
    check = f"import sys, ct.report.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestLayout:
    """The layered layout."""

    def test_every_edge_leads_to_a_later_layer(self):
        found = layout.arrange(UPSTREAM)
        assert found.edges
        assert all(found.places[edge.source].layer < found.places[edge.target].layer for edge in found.edges)

    def test_what_follows_from_other_edges_is_left_out(self):
        found = layout.arrange({"a": [], "b": ["a"], "c": ["a", "b"]})
        assert [(edge.source, edge.target) for edge in found.edges] == [("a", "b"), ("b", "c")]

    def test_an_edge_over_layers_bends_around_what_stands_there(self):
        found = layout.arrange(UPSTREAM)
        (edge,) = [edge for edge in found.edges if edge.source == "resolve-champion"]
        assert [bend.layer for bend in edge.bends] == [2, 3, 4, 5]
        taken = {(place.layer, place.lane) for place in found.places.values()}
        assert not taken.intersection((bend.layer, bend.lane) for bend in edge.bends)

    def test_nothing_overlaps(self):
        wide = {"root": [], **{f"leaf{n}": ["root"] for n in range(12)}, "end": [f"leaf{n}" for n in range(12)]}
        found = layout.arrange(wide)
        lanes = sorted(found.places[f"leaf{n}"].lane for n in range(12))
        assert all(after - before >= 1 - 1e-9 for before, after in itertools.pairwise(lanes))

    def test_names_that_are_no_tasks_are_ignored(self):
        assert layout.arrange({"a": ["condition-1"]}).edges == []

    def test_no_tasks_no_layout(self):
        assert layout.arrange({}).places == {}


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (99.4, "99 s"), (99.6, "1 min 40 s"), (4200, "1 h 10 min")],
)
def test_durations_read_well(value, said):
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0287, "+0.0287"), (-0.0287, "−0.0287"), (0.00001, "0.0000"), (None, "–"), (float("nan"), "–")],
)
def test_differences_read_well(value, said):
    assert words.change(value) == said
