"""Scores every row of a dataset with a model, shard by shard, so that a killed run goes on where it stopped."""

import dataclasses
import datetime
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base import atomic_files, setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.predict_batch import bucket, inferred, loading, outputs, plan
from kfp_ct.components.predict_batch import shard as shards
from kfp_ct.components.predict_batch.outputs import Tally
from kfp_ct.components.predict_batch.settings import EXAMPLES, Engine, Parameters
from kfp_ct.data import layouts
from kfp_ct.data.saved_model import SavedModel
from kfp_ct.pages.formats import percent
from kfp_ct.storage import locations

STARTED = "_begun.json"


@dataclasses.dataclass(frozen=True)
class PredictionRequest:
    """What is scored, and what is written of it; see the component's arguments."""

    examples_path: str
    model_path: str
    model_version: str
    keys: Sequence[str] = ()
    carry: Sequence[str] = ()
    signature: str = "serving_default"
    max_nonfinite_fraction: float = 0.0
    beam_pipeline_args: list[str] = dataclasses.field(default_factory=list)
    engine: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that its settings.py describes, but for where predictions go."""
        return {name: getattr(self, name) for name in Parameters.model_fields if name != "destination"}


@dataclasses.dataclass(frozen=True)
class Written:
    """Where the predictions are, and the artifact's metadata."""

    folder: str
    metadata: dict[str, Any]


def predict(
    request: PredictionRequest, destination: Mapping[str, Any], output_path: str, shard_rows: int = plan.SHARD_ROWS
) -> Written:
    """Writes the predictions, their manifest last.

    Args:
        request: What is scored.
        destination: A folder (s3:// and gs:// too) that outlives the run, a BigQuery table, both or neither.
        output_path: Folder of the predictions artifact, used where there is no other.
        shard_rows: Rows of an output file, to the row group.

    Raises:
        ConfigurationError: An argument or the model does not fit.
        DataError: There are no rows, a column is missing or of another type, too many predictions are not finite, or
            the table did not take every row.
    """
    asked = setting_problems.read(Parameters, {**request.settings, "destination": destination}, "")
    table = asked.destination.table
    if table:
        loading.check(table)
    planned = plan.shards(request.examples_path, shard_rows)
    manifest = layouts.read_manifest(request.examples_path)
    columns = manifest.columns
    _require_columns(request, columns)
    chosen: list[object] = [list(request.keys), list(request.carry), request.signature, request.model_version]
    if asked.destination.tfrecord:
        chosen += [asked.destination.tfrecord, sorted(asked.destination.output_columns.items())]
    identity = plan.identity(request.examples_path, request.model_path, chosen, planned)
    folder, published = _folders(asked.destination.folder, output_path, identity[:16])
    with atomic_files.writing_to("the folder of predictions", folder), atomic_files.locked(folder / "_lock"):
        job = _start_or_resume(request, identity, folder, list(columns))
        job = dataclasses.replace(
            job,
            table=table,
            published=published,
            tfrecord=asked.destination.tfrecord,
            output_columns=dict(asked.destination.output_columns),
            shapes=manifest.shapes,
        )
        if published:
            begun = bucket.begin(published, STARTED, {"identity": identity, "started": job.started})
            job = dataclasses.replace(job, started=begun["started"])
            bucket.fetch(published, folder, planned)
        tally, scored_by = _score(job, planned, request, asked.engine)
        _require_finite(tally, request)
        if table:  # only now: what is refused reaches nobody
            loading.load(job, planned)
        metadata = _finish(dataclasses.replace(job, scored_by=scored_by), planned, tally, request)
        if published:
            bucket.finish(published, folder, planned)
            task_log.progress(f"written to {published}")
    return Written(str(folder), metadata)


def _folders(destination: str, output_path: str, name: str) -> tuple[Path, str]:
    """Returns where files are written, and the folder of an object store that they are published to, if any."""
    if locations.is_remote(destination):
        return Path(output_path), locations.join(destination, name)
    return (locations.local_path(destination) / name if destination else Path(output_path)), ""


def _require_columns(request: PredictionRequest, columns: Mapping[str, str]) -> None:
    wanted = [*request.keys, *request.carry]
    if missing := [name for name in wanted if name not in columns]:
        raise ConfigurationError(
            f"keys and carry name {', '.join(missing)}, which the examples do not have\n"
            f"expected: columns among {', '.join(columns)}\nfix: select them in the query, or correct the settings"
        )


def _start_or_resume(request: PredictionRequest, identity: str, folder: Path, available: Sequence[str]) -> shards.Job:
    """Returns the job, started now or by a run that was killed; what is of another prediction is removed."""
    # The manifest goes first: without it nobody takes what is there for finished.
    (folder / layouts.MANIFEST).unlink(missing_ok=True)
    state = layouts.read_json(folder / STARTED) if (folder / STARTED).is_file() else {}
    if state.get("identity") != identity:
        for old in (*folder.glob("predictions-*.parquet"), *folder.glob("*_tfrecord-*.gz")):
            old.unlink()
        shutil.rmtree(folder / shards.RECORDS, ignore_errors=True)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = {"identity": identity, "started": now}
        layouts.write_json(folder / STARTED, state)
    for partial in folder.glob(".*.partial"):  # of a killed run: the lock is ours
        partial.unlink()
    return shards.Job(
        identity=identity,
        folder=str(folder),
        model_path=request.model_path,
        model_version=request.model_version,
        signature=request.signature,
        columns=(*request.keys, *request.carry) or tuple(available),
        available=tuple(available),
        started=state["started"],
    )


def _score(
    job: shards.Job, planned: Sequence[plan.Shard], request: PredictionRequest, engine: Engine
) -> tuple[Tally, str]:
    """Scores what is left to score; returns what all rows come to, and the job of Vertex AI that scored, if one did."""
    scored_by = ""
    tallies = {shard.file: shards.read_tally(job, shard) for shard in planned}
    todo = [shard for shard in planned if tallies[shard.file] is None]
    rows = sum(shard.rows for shard in planned)
    done = rows - sum(shard.rows for shard in todo)
    if done:
        task_log.progress(f"{done:,} of {rows:,} rows were scored by a run before")
    if todo:
        if job.published:
            bucket.reopen(job.published)
        # Loaded here even if Beam scores: what does not fit is said before workers start.
        model = shards.load_model(job)
        outputs.require_unique_names(job.columns, model.outputs)
        if job.tfrecord == EXAMPLES:
            inferred.columns(job.output_columns, model.outputs, job.available)
        if engine.vertex:
            from kfp_ct.components.predict_batch import vertex_path

            numbered = {number: shard for number, shard in enumerate(planned) if shard in todo}
            scored_by = vertex_path.score(job, numbered, model, engine.vertex)
        elif request.beam_pipeline_args:
            from kfp_ct.components.predict_batch import beam_path

            beam_path.score(job, todo, request.beam_pipeline_args)
        else:
            _score_here(job, todo, model, (done, rows))
    return _total(job, planned), scored_by


def _score_here(job: shards.Job, todo: Sequence[plan.Shard], model: SavedModel, progress: tuple[int, int]) -> None:
    done, rows = progress
    for shard in todo:
        shards.score(job, shard, model)
        done += shard.rows
        task_log.progress(f"{done:,} of {rows:,} rows")


def _total(job: shards.Job, planned: Sequence[plan.Shard]) -> Tally:
    total = Tally()
    for shard in planned:
        tally = shards.read_tally(job, shard)
        if tally is None:
            raise DataError(
                f"{shard.file} does not hold the {shard.rows:,} rows that were read for it\n"
                "expected: a prediction for each row\nfix: run again; only this file is written anew"
            )
        total.merge(tally)
    return total


def _require_finite(tally: Tally, request: PredictionRequest) -> None:
    allowed = math.floor(request.max_nonfinite_fraction * tally.rows)
    if tally.nonfinite > allowed:
        raise DataError(
            f"{tally.nonfinite:,} of {tally.rows:,} rows ({percent(tally.nonfinite / tally.rows)}) have a prediction"
            " that is NaN or infinite\n"
            f"expected: at most {allowed:,} (max_nonfinite_fraction {request.max_nonfinite_fraction:g})\n"
            "fix: look at those rows' features; a model that cannot score them should be retrained or rolled back"
        )


def _finish(job: shards.Job, planned: Sequence[plan.Shard], tally: Tally, request: PredictionRequest) -> dict[str, Any]:
    source = layouts.read_manifest(request.examples_path)
    metadata = {
        "rows": tally.rows,
        "nonfinite": tally.nonfinite,
        "model_version": job.model_version,
        "predicted_at": job.started,
        "fingerprint": job.identity,
        "files": len(planned),
        **({"vertex_job": job.scored_by} if job.scored_by else {}),
        **({"folder": job.published} if job.published else {}),
        **({"table": job.table} if job.table else {}),
        **({"tfrecord": job.tfrecord} if job.tfrecord else {}),
    }
    values = {name: _output_summary(described) for name, described in sorted(tally.values.items())}
    layouts.write_json(
        Path(job.folder) / layouts.SUMMARY, {**metadata, "columns": list(job.columns), "outputs": values}
    )
    kinds = {name: source.columns[name] for name in job.columns}
    kinds |= dict.fromkeys(tally.values, "float") | {outputs.MODEL_VERSION: "string"}
    files = layouts.Split(layouts.PREDICT, tally.rows, [shard.file for shard in planned])
    manifest = dataclasses.replace(source, splits=[files], columns=kinds, fingerprint=job.identity)
    layouts.write_manifest(job.folder, manifest)
    of = f" by v{job.model_version}" if job.model_version else ""
    means = "".join(f"; {name} {v['mean']:.3g} on average" for name, v in values.items() if v["mean"] is not None)
    files_text = f"{len(planned)} file{'' if len(planned) == 1 else 's'}" + f" and {job.table}" * bool(job.table)
    task_log.summary(f"{tally.rows:,} rows scored{of} in {files_text}{means}; {tally.nonfinite:,} not finite")
    return metadata


def _output_summary(values: Mapping[str, Any]) -> dict[str, Any]:
    mean = values["sum"] / values["count"] if values["count"] else None
    within = sum(values["bins"]) == values["count"]
    return {
        "count": values["count"], "mean": mean, "min": values["min"], "max": values["max"],
        "histogram": values["bins"] if within else [],
    }  # fmt: skip
