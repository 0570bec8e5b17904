"""A registered model of small_examples' numbers, its traffic as the service logs it, and the labels that came later."""

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import small_examples
from kfp_ct.components.monitor import work
from kfp_ct.data import feature_statistics, layouts
from kfp_ct.serving.request_files import Answered, Key, RequestFiles

START = datetime.datetime(2013, 6, 1, tzinfo=datetime.UTC)
END = START + datetime.timedelta(days=1)
WINDOW = (START.isoformat(), END.isoformat())
YESTERDAY = START - datetime.timedelta(hours=12)
INPUTS = ["size", "weight", "count", "colour"]


def scores(table):
    """A model that knows the answer, with some doubt (what looks like noise is the same for the same row)."""
    size, weight = (np.nan_to_num(table[name].to_numpy()) for name in ("size", "weight"))
    return 1 / (1 + np.exp(-(size - weight + 3 * np.sin(1000 * size))))


def auc(labels, predictions):
    ranks = np.argsort(np.argsort(predictions)) + 1
    ones = labels.sum()
    return float((ranks[labels > 0].sum() - ones * (ones + 1) / 2) / (ones * (len(labels) - ones)))


def champion(folder, trained=None, evaluation=None):
    """Writes a registered model; returns its folder."""
    trained = trained if trained is not None else small_examples.table(20_000, seed=1)
    training, kept = folder / layouts.TRAINING, folder / layouts.REGISTERED
    layouts.write_text(training / layouts.SCHEMA, small_examples.SCHEMA)
    window = {"start": "2013-01-01", "end": "2013-06-01"}
    splits = [layouts.Split("train", len(trained), [])]
    layouts.write_manifest(training, layouts.Manifest(splits, {}, "f", {}, window, {}))
    path = layouts.split_path(kept / "statistics", "train") / layouts.STATISTICS_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(feature_statistics.compute(trained.to_batches(), "train").SerializeToString())
    value = auc(trained["label"].to_numpy(), scores(trained))
    usual = {
        "label": "label", "gates": {"metric": "auc", "confidence": 0.95},
        "baseline": {"metric": "auc", "challenger": value, "low": value - 0.51, "high": value - 0.49},
    }  # fmt: skip
    layouts.write_json(kept / "evaluation" / layouts.SUMMARY, evaluation or usual)
    return str(folder)


def answered(table, at=START, request="r", outputs=None, rows=100):
    """Rows as requests of so many each, over six hours."""
    found = []
    for number, start in enumerate(range(0, len(table), rows)):
        part = table.slice(start, rows)
        arrays = {
            "size": part["size"].to_numpy(), "weight": part["weight"].to_numpy(),
            "count": part["count"].fill_null(-(2**63)).to_numpy(),
            "colour": np.array([(text or "").encode() for text in part["colour"].to_pylist()], object),
        }  # fmt: skip
        given = outputs[start : start + rows] if outputs is not None else scores(part)
        moment = at.timestamp() + 21_600 * start / len(table)
        answers = {"probability": given.reshape(len(part), -1).astype(np.float32)}
        found.append(Answered(f"{request}-{number}", moment, 2.0 + number % 10, arrays, answers))
    return found


def log(root, answers, version=1, model="small", **counts):
    """Writes them as the service does."""
    written = counts.pop("written", START + datetime.timedelta(hours=1)).isoformat()
    requests = {"requests": len(answers), "sampled": len(answers), "dropped": 0, "lost": 0, "errors": {}}
    to_json = {"signature": "serving_default", "written": written, **requests, **counts}
    RequestFiles(Path(root), 1 << 40).write(Key(model, version, "serving_default"), answers, json.dumps(to_json))


def label(path, table, request="r", rows=100, values=None):
    """Writes the labels of `answered`'s rows."""
    places = np.arange(len(table))
    values = values if values is not None else table["label"]
    ids = [f"{request}-{place // rows}" for place in places]
    pq.write_table(pa.table({"request_id": ids, "row": places % rows, "label": values}), path)
    return str(path)


def monitor(tmp_path, model, window=WINDOW, labels="", **rules):
    """Runs the work on what lies in `tmp_path`; returns the report."""
    metadata = {"version": "1", "registered": "2013-06-01T00:00:00+00:00"}
    request = work.MonitoringRequest(
        model, metadata, "small", str(tmp_path / "log"), window, labels, str(tmp_path / "history.jsonl"), rules
    )
    return work.monitor(request, work.Outputs(str(tmp_path / "report"), str(tmp_path / "view.html")))
