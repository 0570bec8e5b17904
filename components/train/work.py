"""Trains a model with the user's run_fn."""

import contextlib
import dataclasses
import hashlib
import inspect
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kfp_ct.base import secrets, setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError, DataError, TrainingError
from kfp_ct.components.train import (
    checkpoints,
    diagnosis,
    logged_requests,
    observed_fit,
    traced_once,
    unwritten_summaries,
)
from kfp_ct.components.train.callbacks import History, StopOnNonFiniteLoss, metric_text
from kfp_ct.components.train.settings import Parameters
from kfp_ct.data import autograph, batches, layouts, reading, user_code, warm_up, whole_floats
from kfp_ct.data.fn_args import DataAccessor, FnArgs
from kfp_ct.data.hyperparameter_values import HyperparameterValues
from kfp_ct.data.settings import OWN_NAMES, Hyperparameters
from kfp_ct.data.training_data import Reader


@dataclasses.dataclass(frozen=True)
class TrainingRequest:
    """What is trained on what: the artifacts' paths, the user's module and the settings."""

    examples_path: str
    graph_path: str
    schema_file: str
    base_model_path: str
    module: str
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    checkpoints: str = ""
    distribution: str = ""
    warm_up_rows: int = 32
    transformed_path: str = ""
    warm_up_log: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that its settings.py describes."""
        return {name: getattr(self, name) for name in Parameters.model_fields}

    @property
    def read_path(self) -> str:
        """The dataset that is trained on: transformed rows where they are there as TFRecord, else the raw ones."""
        there = bool(self.transformed_path) and (Path(self.transformed_path) / layouts.MANIFEST).is_file()
        if there and layouts.read_manifest(self.transformed_path).format == layouts.TFRECORD:
            return self.transformed_path
        return self.examples_path


@dataclasses.dataclass(frozen=True)
class _Outputs:
    model_path: str
    run_path: str
    working_dir: str

    @property
    def serving_model_dir(self) -> str:
        return str(Path(self.model_path) / layouts.SERVING_MODEL)


def train(request: TrainingRequest, model_path: str, run_path: str) -> dict[str, Any]:
    """Runs run_fn and checks what it leaves.

    Args:
        request: Artifacts, module and settings.
        model_path: The SavedModel appears below, under `Format-Serving`; the schema and the manifest of the
            examples under `Training`.
        run_path: TensorBoard logs, and summary.json with the metrics of every epoch.

    Returns:
        Metadata of the model: rows; epochs and steps where run_fn passes `fn_args.callbacks` on.

    Raises:
        ConfigurationError: The module or a setting does not fit.
        DataError: The train split is empty or its label has one value.
        TrainingError: The loss is not finite, or no SavedModel that loads was left.
    """
    request = dataclasses.replace(request, hyperparameters=whole_floats.restored(request.hyperparameters))
    setting_problems.read(Parameters, request.settings, "")
    manifest = layouts.read_manifest(request.examples_path)
    if not manifest.split(layouts.TRAIN).rows:
        raise DataError("the train split has no rows\nexpected: rows to train on\nfix: widen the window")
    run_fn = user_code.load_function(request.module, "run_fn")
    with tempfile.TemporaryDirectory() as working_dir, _strategy(request.distribution) as is_chief:
        kept = _Outputs(model_path, run_path, working_dir)
        # Every worker must save, for the collectives in it; only the chief's files are kept.
        outputs = kept if is_chief else _Outputs(f"{working_dir}/model", f"{working_dir}/run", working_dir)
        transformed = request.read_path if request.read_path != request.examples_path else ""
        reader = Reader(batches.read_schema(request.schema_file), request.graph_path, transformed)
        history = History(reader.batch_size)
        folder = f"{request.checkpoints.rstrip('/')}/{_key(request)}" if request.checkpoints else ""
        callbacks = _callbacks(reader, history, outputs.run_path)
        if folder:
            callbacks.append(checkpoints.ResumableBackup(folder, history, is_chief))
        fn_args = _fn_args(request, outputs, reader, callbacks)
        passed = callbacks if request.hyperparameters.get("fit_callbacks", True) else []
        failures = user_code.failing_as(TrainingError, request.module, "run_fn")
        with failures, _quicker(), observed_fit.passing(passed):
            run_fn(fn_args)
        loaded = _require_saved_model(outputs.serving_model_dir, request.module)
        if is_chief:
            _write_warm_up(request, outputs.serving_model_dir, loaded)
        if folder and is_chief:
            checkpoints.remove(folder)
    if is_chief:
        _record_training(request, model_path)
    return _write_summary(manifest.split(layouts.TRAIN).rows, history, run_path)


@contextlib.contextmanager
def _quicker() -> Iterator[None]:
    """Within it, what libraries do for nothing is left out."""
    with autograph.sparing_libraries(), traced_once.fitting(), unwritten_summaries.left_out():
        yield


def _callbacks(reader: Reader, history: History, run_path: str) -> list[Any]:
    return [
        history,
        StopOnNonFiniteLoss(lambda: diagnosis.non_finite_features(reader)),
        keras.callbacks.TensorBoard(run_path, write_graph=False),
    ]


def _fn_args(request: TrainingRequest, outputs: _Outputs, reader: Reader, callbacks: list[Any]) -> FnArgs:
    base_model = Path(request.base_model_path) / layouts.SERVING_MODEL
    ours = setting_problems.read(Hyperparameters, request.hyperparameters, "hyperparameters")
    # In TFX, steps are arguments of their own: a module may take any hyperparameters for KerasTuner's.
    tuned = {key: value for key, value in request.hyperparameters.items() if key not in OWN_NAMES}
    return FnArgs(
        working_dir=outputs.working_dir,
        train_files=layouts.split_files(request.read_path, layouts.TRAIN),
        eval_files=_split_files(request.read_path, layouts.EVAL),
        train_steps=ours.steps(ours.train_steps, _rows(request.examples_path, layouts.TRAIN)),
        eval_steps=ours.steps(ours.eval_steps, _rows(request.examples_path, layouts.EVAL)),
        schema_path=request.schema_file,
        transform_graph_path=request.graph_path,
        data_accessor=DataAccessor(reader.dataset, reader.record_batches),
        serving_model_dir=outputs.serving_model_dir,
        eval_model_dir=str(Path(outputs.working_dir) / "Format-TFMA"),
        model_run_dir=outputs.run_path,
        base_model=str(base_model) if base_model.is_dir() else None,
        hyperparameters=HyperparameterValues(secrets.resolve(tuned)),
        custom_config=secrets.resolve(request.hyperparameters),
        callbacks=callbacks,
    )


def _split_files(examples_path: str, split: str) -> list[str]:
    names = [split.name for split in layouts.read_manifest(examples_path).splits]
    return layouts.split_files(examples_path, split) if split in names else []


def _rows(examples_path: str, split: str) -> int:
    splits = layouts.read_manifest(examples_path).splits
    return next((each.rows for each in splits if each.name == split), 0)


@contextlib.contextmanager
def _strategy(distribution: str) -> Iterator[bool]:
    """Runs its body in a tf.distribute strategy's scope; yields whether this process is the chief."""
    if not distribution:
        yield True
        return
    makers = {
        "mirrored": tf.distribute.MirroredStrategy,
        "multi_worker_mirrored": tf.distribute.MultiWorkerMirroredStrategy,
    }
    if distribution == "multi_worker_mirrored" and "TF_CONFIG" not in os.environ:
        raise ConfigurationError(
            "distribution is multi_worker_mirrored, and nobody starts workers: $TF_CONFIG is not set\n"
            "expected: the workers' addresses in $TF_CONFIG, set by what starts them\n"
            "fix: leave distribution empty, or say mirrored for the accelerators of one machine"
        )
    strategy = makers[distribution]()
    resolver = strategy.cluster_resolver
    task = getattr(resolver, "task_type", None), getattr(resolver, "task_id", None)
    with strategy.scope():
        yield task[0] in (None, "", "chief") or (task == ("worker", 0) and "chief" not in resolver.cluster_spec().jobs)


def _key(request: TrainingRequest) -> str:
    """Names this training: the same data, graph, code and settings, and nothing else, go on from its checkpoints."""
    source = inspect.getsource(user_code.load_module(request.module))
    identity = [
        layouts.read_manifest(request.examples_path).fingerprint,
        layouts.tree_fingerprint(request.graph_path),
        hashlib.sha256(source.encode()).hexdigest(),
        request.hyperparameters,
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _require_saved_model(path: str, module: str) -> Any:
    expected = "expected: a SavedModel with at least one signature, saved to fn_args.serving_model_dir"
    if not tf.io.gfile.exists(f"{path}/saved_model.pb"):
        raise TrainingError(f"run_fn of {module} left no SavedModel\n{expected}\nfix: call tf.saved_model.save there")
    try:
        loaded = tf.saved_model.load(path)
    except Exception as error:
        raise TrainingError(
            f"the SavedModel that run_fn of {module} left does not load: {error}\n{expected}"
        ) from error
    if not loaded.signatures:
        raise TrainingError(
            f"the SavedModel that run_fn of {module} left has no signature\n{expected}\n"
            "fix: pass signatures={'serving_default': …} when saving"
        )
    return loaded


def _write_warm_up(request: TrainingRequest, model_folder: str, loaded: Any) -> None:
    """Puts requests into the model that a service answers before it is ready; a module's own stay."""
    if not request.warm_up_rows or (Path(model_folder) / warm_up.FILE).exists():
        return
    files = _split_files(request.examples_path, layouts.EVAL) or layouts.split_files(
        request.examples_path, layouts.TRAIN
    )
    first = next(reading.iter_batches(files, batch_rows=request.warm_up_rows))
    logged = logged_requests.newest(request.warm_up_log, request.warm_up_rows) if request.warm_up_log else None
    written = warm_up.write(model_folder, loaded, first.slice(0, request.warm_up_rows), logged)
    task_log.progress(f"{written} warm-up requests are in the model")


def _record_training(request: TrainingRequest, model_path: str) -> None:
    """Puts the schema and the manifest into the model: what its inputs look like, and which rows it has seen."""
    folder = Path(model_path) / layouts.TRAINING
    layouts.write_text(folder / layouts.SCHEMA, Path(request.schema_file).read_text())
    layouts.write_manifest(folder, layouts.read_manifest(request.examples_path))


def _write_summary(rows: int, history: History, run_path: str) -> dict[str, Any]:
    best = diagnosis.best_epoch(history.epochs)
    # Of a module that trains without Model.fit, nobody counts.
    epochs, steps = (len(history.epochs), history.steps) if history.steps else (None, None)
    summary = {
        "rows": rows,
        "epochs": epochs,
        "steps": steps,
        "best_epoch": best + 1 if best is not None else None,
        "history": history.epochs,
    }
    layouts.write_json(Path(run_path) / layouts.SUMMARY, summary)
    best_text = ""
    if best is not None:
        best_text = f", best after epoch {best + 1}: " + ", ".join(
            metric_text(name, value) for name, value in history.epochs[best].items()
        )
    counted = (
        f"{epochs} epochs, {steps:,} steps" if steps else "epochs and steps unknown: no Model.fit had fn_args.callbacks"
    )
    task_log.summary(f"trained on {rows:,} rows, {counted}{best_text}")
    return {key: summary[key] for key in ("rows", "epochs", "steps") if summary[key] is not None}
