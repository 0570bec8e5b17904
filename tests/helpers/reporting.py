"""Runs as the engine leaves them, for tests of their report, and a reader of its page."""

import html.parser
import json
import re

from kfp_ct.data import layouts
from kfp_ct.report import report
from kfp_ct.runs import record
from kfp_ct.runs.events import State

UPSTREAM = {
    "resolve-sources": [],
    "ingest": ["resolve-sources"],
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
    "eval_config": {"reference": "pipelines.flights.judging:make", "text": 'model_specs { label_key: "late" }'},
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
CLASSES = {
    "names": ["early", "on time", "late"], "rows": [10, 20, 30], "recall": [0.5, 0.8, None],
    "precision": [0.6, None, 1.0],
    "matrix": [[5, 5, 0], [2, 16, 2], [0, 3, 27]], "confusions": [],
}  # fmt: skip
LABELS = {
    "names": ["drama", "comedy", "noir"], "rows": [10, 20, 0], "predicted": [12, 18, 0], "auc": [0.9, 0.7, None],
    "recall": [0.5, 0.8, None], "precision": [0.4, 0.9, None], "f1": [0.45, 0.85, None],
    "prediction": [0.2, 0.4, 0.0], "per_row": {"actual": 1.25, "predicted": 1.5},
}  # fmt: skip
VALUES = {
    "values": [{"rows": 5, "predicted": p, "actual": p + 1, "low": p - 2, "high": p + 4} for p in (1.0, 3.0, 8.0)],
    "residuals": {"buckets": [{"low": -1.0, "high": 0.0, "rows": 3}, {"low": 0.0, "high": 1.0, "rows": 4}],
                  "mean": 0.1, "quantiles": {"50 %": 0.0}},
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
    "how_many": 23524, "fraction": 0.176, "example": "'UA'", "severity": "stop",
}  # fmt: skip
ANOMALIES = {
    "features": 21, "splits": [{"name": "train", "rows": 133603, "features": 21, "severity": "stop"}], "anomalies": [],
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
    ("ingest", "examples", layouts.MANIFEST): MANIFEST,
    ("statistics", "statistics", layouts.SUMMARY): {
        "splits": [statistics_of("train", 133603), statistics_of("eval", 27075)]
    },
    ("schema", "schema", layouts.SUMMARY): {
        "schema_file": "pipelines/flights/schema.pbtxt", "features": [{"name": "gust"}], "difference": [
            {"feature": "gust", "aspect": "presence", "curated": "any", "inferred": "at least 100 % of the rows"}],
    },
    ("validate-data", "anomalies", layouts.SUMMARY): ANOMALIES,
    ("tune", "trials", layouts.SUMMARY): {
        "objective": "val_auc", "direction": "max", "best": "1", "values": {"rate": 0.1}, "rows": 800, "overruled": [],
        "held_out_rows": 200, "hyperparameters": {"rate": 0.1}, "tuning": {"trials": 2}, "trials": [
            {"id": "0", "score": None, "values": {"rate": 9.0}, "seconds": 2.0, "why": "val_auc is nan"},
            {"id": "1", "score": 0.7123, "values": {"rate": 0.1}, "seconds": 2.5, "why": ""},
        ],
    },
    ("train", "model_run", layouts.SUMMARY): {
        "rows": 133603, "epochs": 2, "steps": 262, "best_epoch": 2,
        "history": [{"loss": 0.51, "auc": 0.68, "val_loss": 0.48}, {"loss": 0.48, "auc": 0.73, "val_loss": 0.47}],
    },
    ("evaluate", "evaluation", layouts.SUMMARY): EVALUATION,
    ("validate-infra", "infra_validation", layouts.SUMMARY): INFRA,
    ("deploy", "deployment", layouts.SUMMARY): {
        "model": "flights", "version": "2", "previous": "1", "kept": ["1"], "path": "/srv/serving/flights",
    },
}  # fmt: skip


MOVED = {
    "feature": "temp", "measure": "jensen_shannon_divergence", "value": 0.98, "threshold": 0.7, "allowance": 0.01,
    "limit": 0.7, "exceeded": True,
}  # fmt: skip
SKEW = {"kind": "skew", "text": "1 of 2 features moved"}


def monitoring_report(state, reasons=(), alarms=()):
    counts = {"rows": 10, "requests": 2, "sampled": 2, "dropped": 0, "lost": 0, "errors": 1}
    return {
        "model": "flights", "version": "3", "state": state, "retrain": bool(reasons), "reasons": list(reasons),
        "alarms": list(alarms), "window": {"start": "2013-06-01T00:00:00+00:00", "end": "2013-06-02T00:00:00+00:00"},
        "skew": [MOVED, MOVED | {"feature": "dewp", "value": 0.1, "exceeded": False}], "drift": [], "predictions": [],
        "traffic": {**counts, "examined": 10, "p50_ms": 1.0, "p99_ms": 2.0,
                    "latencies": [{"low": 1.0, "high": 2.0, "count": 10}]},
        "versions": {"3": counts},
        "quality": {"metric": "auc", "labelled": 10, "baseline": 0.7, "unjudged": "", "value": 0.6, "low": 0.5,
                    "high": 0.7, "loss": 0.1, "loss_low": 0.0},
        "labels": {"given": True, "coverage": 1.0, "conflicting": 0},
        "staleness": {"age_days": 3.2}, "rules": {"max_loss": 0.02},
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
            versions={"python": "3.11.7", "kfp": "2.17.3"}, user="ann", process=1, started=STARTED, state=state,
            ended="2026-11-23T10:00:52.000+00:00", seconds=52.4, tasks=tasks,
        )  # fmt: skip

    def written(self, run):
        path = report.write(run, self.folder)
        return path.read_text(), json.loads((self.folder / report.JSON).read_text())

    def keep(self, task, artifact, file, content):
        root = self.home / "artifacts" / "flights-training-1" / task / artifact
        layouts.write_json(root / file, content)
        return root

    def _task(self, name, waits, summaries):
        found = record.Task(
            name, name.replace("-", "_"), waits, State.SUCCEEDED, STARTED, 5.0, summary=f"what {name} found"
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
                task.state, task.error, task.summary = State.FAILED, error, ""
            elif task.name not in before:
                task.state, task.seconds, task.started, task.summary = State.SKIPPED, 0.0, "", ""
        return run


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
    return with_summary(("evaluate", "evaluation", layouts.SUMMARY), evaluation)


def not_drawn(drawn):
    return re.findall(r"This part could not be drawn[^<]*", drawn)
