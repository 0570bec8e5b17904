"""What a replay does with data and models: all by the code of ingest, the prediction service and monitor."""

import dataclasses
import datetime
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_ct.base import atomic_files
from kfp_ct.base.errors import CtError, DataError
from kfp_ct.components.ingest import work as ingesting
from kfp_ct.components.monitor import champion as champions
from kfp_ct.components.monitor import history, metrics, quality
from kfp_ct.components.monitor import work as monitoring
from kfp_ct.components.resolve_model import work as resolving
from kfp_ct.data import batches, layouts
from kfp_ct.serving import request_log
from kfp_ct.serving.request_files import Answered, Key, RequestFiles, to_table
from kfp_ct.serving.saved_model import SavedModel
from kfp_ct.serving.versions import Versions

# Rows of one request: as a client that asks about many at once.
REQUEST_ROWS = 2_000
_CONFIDENCE = 0.95
_LOG_BYTES = 1 << 40


@dataclasses.dataclass(frozen=True)
class Model:
    """A registered model, and what monitoring knows of it."""

    number: str
    path: str
    known: champions.Champion


class Desk:
    """Answers one replay's questions; models stay loaded between them."""

    def __init__(self) -> None:
        self._services: dict[str, Versions] = {}

    def read(self, request: Mapping[str, Any], folder: str) -> dict[str, Any]:
        """Reads a window's rows, once for all who ask.

        Args:
            request: What `ingest` is asked for; all rows are one split.
            folder: Where they go.

        Returns:
            `rows`; 0 if the window has none.
        """
        path = Path(folder)
        with atomic_files.locked(path.with_name(f".{path.name}.lock")):
            if not (path / layouts.MANIFEST).is_file():
                try:
                    ingesting.ingest(ingesting.IngestRequest(**{**request, "split": {"method": "none"}}), path)
                except DataError as error:
                    if "has no rows in the window" not in str(error):
                        raise
                    return {"rows": 0}
            return {"rows": sum(split.rows for split in layouts.read_manifest(path).splits)}

    def champion(self, registry: str, model: str) -> dict[str, Any]:
        """Returns the number of the model that was made champion last, and the end of the data that it knows."""
        found = _registered(registry, model)
        return {"version": found.number, "trained_until": found.known.trained_until}

    def answer(self, where: Mapping[str, str], examples: str, span: Sequence[str], label: str) -> dict[str, Any]:
        """Has the served version answer a window's rows, logs it as the service does, and keeps answers and labels.

        Args:
            where: `serving`, `model`, `log` and `answers`, the file that is written.
            examples: The rows.
            span: When they are asked about, evenly: start and end.
            label: Column of the labels.
        """
        service = self._service(where["serving"])
        with service.leased(where["model"], None) as (model, number):
            answers = list(_answers(model, examples, span))
        _log(where, number, answers, span[1])
        _keep(Path(where["answers"]), answers, _labels(examples, label))
        return {"version": str(number)}

    def answer_by(self, registry: str, model: str, version: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """Has a registered version answer rows that another served; nothing is logged.

        Args:
            registry: The registry.
            model: Model.
            version: Version.
            about: `examples`, `label`, and `answers`, the file that is written.
        """
        found = _registered(registry, model, version)
        loaded = SavedModel(Path(found.path) / layouts.SERVING_MODEL)
        span = ["1970-01-01T00:00:00", "1970-01-02T00:00:00"]
        answers = list(_answers(loaded, about["examples"], span))
        _keep(Path(about["answers"]), answers, _labels(about["examples"], about["label"]))
        return {"version": version}

    def measure(self, registry: str, model: str, version: str, files: Sequence[str]) -> dict[str, Any]:
        """Returns the metric that gates judge by, with its interval, on answers that were kept."""
        baseline = quality.baseline_metric(_registered(registry, model, version).known.evaluation)
        rows = pa.concat_tables([pq.read_table(file) for file in files])
        predictions = quality.predictions_of(rows, baseline)
        if predictions is None or baseline.metric not in metrics.METRICS.get(baseline.task, ()):
            raise CtError(
                f"{baseline.metric} of a {baseline.task} model cannot be measured on its answers\n"
                f"expected: one of {', '.join(metrics.METRICS.get(baseline.task, ()))}\nfix: choose it as gates.metric"
            )
        found = metrics.estimate(baseline.task, baseline.metric, quality.labels_of(rows, baseline), predictions)
        reach = statistics.NormalDist().inv_cdf((1 + _CONFIDENCE) / 2) * found.error
        if not math.isfinite(found.value + reach):
            raise CtError(
                f"{baseline.metric} is not defined on the {len(rows):,} rows of a window\n"
                "expected: rows of both labels\nfix: choose longer windows (every in replay.yaml)"
            )
        low, high = found.value - reach, found.value + reach
        return {"metric": baseline.metric, "value": found.value, "low": low, "high": high, "rows": len(rows)}

    def monitor(self, where: Mapping[str, str], window: Sequence[str], rules: Mapping[str, Any],
                labelled: Sequence[str]) -> dict[str, Any]:  # fmt: skip
        """Examines the champion's traffic of a window.

        Args:
            where: `registry`, `model`, `log`, `history`, and `folder`, where the report goes.
            window: Start and end.
            rules: What it is held to.
            labelled: Files of answers whose labels are known.

        Returns:
            The line of the history.
        """
        found = _registered(where["registry"], where["model"])
        folder = Path(where["folder"])
        labels = _known(folder / "labels.parquet", labelled)
        request = monitoring.MonitoringRequest(
            found.path, {"version": found.number}, where["model"], where["log"], (window[0], window[1]), labels,
            where["history"], {**rules, "no_traffic": "report"},
        )  # fmt: skip
        now = datetime.datetime.fromisoformat(window[1]).replace(tzinfo=datetime.UTC)
        report = monitoring.monitor(request, monitoring.Outputs(str(folder), str(folder / "view.html")), now)
        return {**history.entry(report), "said": [reason["text"] for reason in report["reasons"]]}

    def _service(self, root: str) -> Versions:
        """Returns what serves the models below a folder, as they are now."""
        if root not in self._services:
            self._services[root] = Versions(Path(root), SavedModel)
        self._services[root].poll()
        return self._services[root]


def _registered(registry: str, model: str, version: str = "champion") -> Model:
    found = resolving.resolve(registry, model, version)
    path = found.located.uri
    return Model(found.version, path, champions.read(path, {"version": found.version}))


def _answers(model: Any, examples: str, span: Sequence[str]) -> Iterator[Answered]:
    start, end = (datetime.datetime.fromisoformat(each).replace(tzinfo=datetime.UTC).timestamp() for each in span)
    rows = sum(split.rows for split in layouts.read_manifest(examples).splits)
    done = 0
    for batch in _batches(examples):
        begun = time.perf_counter()
        answer = model.predict(_body(model, batch))
        latency = 1e3 * (time.perf_counter() - begun)
        asked = start + (end - start) * done / rows
        yield Answered(f"{span[0]}/{done}", asked, latency, answer.inputs, answer.outputs)
        done += batch.num_rows


def _batches(examples: str) -> Iterator[pa.RecordBatch]:
    for split in layouts.read_manifest(examples).splits:
        for file in layouts.split_files(examples, split.name):
            yield from pq.ParquetFile(file).iter_batches(REQUEST_ROWS)


def _body(model: Any, batch: pa.RecordBatch) -> bytes:
    """Returns the request of a client who knows a batch's rows: columns by name, or serialised tf.Examples."""
    import base64

    specs = model.specs["serving_default"]
    if len(specs) == 1 and (name := next(iter(specs))) not in batch.schema.names:
        texts = [{"b64": base64.b64encode(each).decode()} for each in batches.to_examples(batch)]
        return json.dumps({"inputs": {name: texts}}).encode()
    if missing := sorted(set(specs) - set(batch.schema.names)):
        raise CtError(
            f"the served model asks for {', '.join(missing)}, which the query does not select\n"
            "expected: every input among the query's columns\nfix: select them"
        )
    columns = {name: [None if each != each else each for each in batch.column(name).to_pylist()] for name in specs}
    return json.dumps({"inputs": columns}).encode()


def _labels(examples: str, label: str) -> pa.ChunkedArray:
    parts = [batch.column(label) for batch in _batches(examples)]
    return pa.chunked_array(parts)


def _log(where: Mapping[str, str], number: int, answers: Sequence[Answered], end: str) -> None:
    """Writes a file of the request log, named by the time that is replayed; the same span again replaces it."""
    root = Path(where["log"])
    name = f"{datetime.datetime.fromisoformat(end):%Y%m%dT%H%M%S.%f}-0.parquet"
    for old in (root / where["model"]).glob(f"*/{name}"):
        old.unlink()
    key = Key(where["model"], number, "serving_default")
    counts = Counter(requests=len(answers), sampled=len(answers))
    described = {**json.loads(request_log.describe(key, counts)), "written": f"{end}+00:00"}
    RequestFiles(root, _LOG_BYTES).write(key, answers, json.dumps(described)).rename(
        root / where["model"] / str(number) / name
    )


def _keep(path: Path, answers: Sequence[Answered], labels: pa.ChunkedArray) -> None:
    table = to_table(answers).select(["request_id", "row", "outputs"]).append_column("label", labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial)
    partial.rename(path)


def _known(path: Path, files: Sequence[str]) -> str:
    """Writes the labels that are known; returns where, empty if there are none."""
    if not files:
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = [pq.read_table(file, columns=["request_id", "row", "label"]) for file in files]
    pq.write_table(pa.concat_tables(tables), path)
    return str(path)
