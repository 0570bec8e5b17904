"""Scores challenger and champion on the same rows, lets TFMA compute the metrics, and decides."""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import (
    array_metrics,
    beam_path,
    fair_comparison,
    gates,
    results,
    scoring,
    slice_gap,
    summary,
    thresholds,
    view,
)
from kfp_ct.components.evaluate.config import CHALLENGER, CHAMPION, Plan, read_plan
from kfp_ct.components.evaluate.gate_settings import LOGITS, Gates, read_gates
from kfp_ct.components.evaluate.model import Model, Signature
from kfp_ct.components.evaluate.samples import Scores
from kfp_ct.components.evaluate.summary import Result
from kfp_ct.components.evaluate.tasks import Reading
from kfp_ct.data import batches, layouts, saved_model
from kfp_ct.models import blessing
from kfp_ct.models.blessing import Check


@dataclasses.dataclass(frozen=True)
class Request:
    """What is judged, on which rows, by which rules; `champion_path` may hold no SavedModel."""

    examples_path: str
    schema_file: str
    model_path: str
    champion_path: str
    champion_version: str
    eval_config: str
    gates: dict[str, Any]
    beam_pipeline_args: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where the evaluation, the blessing and the page go."""

    evaluation_path: str
    blessing_path: str
    view_path: str


@dataclasses.dataclass(frozen=True)
class _Trial:
    """A request with everything checked and read that can be before a row is scored."""

    request: Request
    plan: Plan
    gates: Gates
    has_champion: bool

    @property
    def champion_title(self) -> str:
        version = self.request.champion_version
        return f"champion v{version}" if version else "the champion"

    @property
    def titles(self) -> dict[str, str]:
        """TFMA's model name → what messages call the model."""
        titles = {CHALLENGER: "the model"}
        return titles | {CHAMPION: self.champion_title} if self.has_champion else titles


def evaluate(request: Request, outputs: Outputs) -> Result:
    """Judges a model; a gate that says no shows in the result, only what cannot be judged raises.

    Args:
        request: What to judge.
        outputs: Where to write TFMA's result folder with summary.json, the blessing, and the page.

    Returns:
        The verdict and the metrics to log.

    Raises:
        ComponentError: There are no rows to judge on, a model cannot be read or scored, or a setting does not fit.
    """
    trial = _Trial(
        request, read_plan(request.eval_config), read_gates(request.gates), saved_model.exists(request.champion_path)
    )
    config = trial.plan.completed(trial.has_champion)
    schema = batches.read_schema(request.schema_file)
    wanted = _computations(config, schema, request.eval_config)
    with _workers(request, outputs) as workers:
        carry_all = bool(array_metrics.unsupported(config, wanted))
        trial, readings, scores = _score(trial, schema, carry_all, workers)
        checks = _finite(trial, scores)
        if not all(check.passed for check in checks):
            results.write(outputs.evaluation_path, config, [])
            return _conclude(trial, outputs, summary.empty(scores), checks)
        slow = array_metrics.unsupported(config, wanted, trial.gates.task)
        with _tfma_errors(request.eval_config, trial.gates.task):
            if workers:
                columns = None if carry_all else scores.columns.column_names
                workers.write(outputs.evaluation_path, beam_path.Rows(columns, readings, trial.titles), config, schema)
            elif slow:
                task_log.progress(f"{slow}: computed row by row on TFMA's ordinary path, which is slow")
                results.write_with_beam(outputs.evaluation_path, scores, config, schema)
            else:
                results.write(outputs.evaluation_path, config, results.from_arrays(scores, config, wanted))
    evaluation = results.read(outputs.evaluation_path)
    sizes = summary.sizes(scores, evaluation, config)
    checks += thresholds.checks(evaluation, config, sizes, trial.gates)
    report = summary.describe(scores, evaluation, sizes)
    checks += _judge(trial, scores, readings[0], report)
    return _conclude(trial, outputs, report, checks)


def _workers(request: Request, outputs: Outputs) -> contextlib.AbstractContextManager[beam_path.Workers | None]:
    if not request.beam_pipeline_args:
        return contextlib.nullcontext()
    return beam_path.workers(request.examples_path, outputs.evaluation_path, request.beam_pipeline_args)


def _computations(
    config: config_pb2.EvalConfig, schema: schema_pb2.Schema, reference: str
) -> array_metrics.Computations:
    try:
        return array_metrics.computations(config, schema)
    except (ValueError, TypeError, AttributeError, ImportError, NotImplementedError) as error:
        raise ConfigurationError(
            f"{reference} asks for a metric that TFMA cannot make: {str(error).splitlines()[0]}\n"
            "expected: class names of Keras or TFMA metrics, such as AUC, and valid settings for them"
        ) from error


@contextlib.contextmanager
def _tfma_errors(reference: str, task: str) -> Iterator[None]:
    """Says what TFMA cannot compute; Beam and TensorFlow wrap what was wrong in errors of many kinds."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, tf.errors.OpError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigurationError(
            f"{reference} asks for something that TFMA cannot compute of these labels and predictions: {first[:300]}\n"
            f"expected: metrics of a {task} task"
        ) from error


def _score(
    trial: _Trial, schema: schema_pb2.Schema, carry_all: bool, workers: beam_path.Workers | None
) -> tuple[_Trial, list[Reading], Scores]:
    """Returns the trial with its gates settled, how its outputs are read, and the rows after prediction."""
    request, plan = trial.request, trial.plan
    keep = scoring.check_columns(request.examples_path, plan, trial.gates.slices)
    there = list(layouts.read_manifest(request.examples_path).columns)
    paths = {CHALLENGER: request.model_path, CHAMPION: request.champion_path}
    signature = Signature(plan.signature, plan.outputs, trial.gates.model_output == LOGITS)
    loaders = {
        name: functools.partial(Model, paths[name], title, signature, there) for name, title in trial.titles.items()
    }
    # Loaded here even if workers score: what does not fit is said before they start.
    models = {name: load() for name, load in loaders.items()}
    predicted = (
        workers.predict(loaders, keep)
        if workers
        else scoring.predict(request.examples_path, models, there if carry_all else keep)
    )
    readings = scoring.readings(plan, trial.gates, schema, predicted, request.model_path)
    trial = dataclasses.replace(trial, gates=trial.gates.settled(readings[0].task))
    return trial, readings, scoring.scores(predicted, readings, trial.titles, trial.gates.metric)


def _finite(trial: _Trial, scores: Scores) -> list[Check]:
    return [
        gates.finite(f"{trial.titles[name]}{_of_output(scored.output.name)}", predictions)
        for scored in scores.outputs
        for name, predictions in scored.predictions.items()
    ]


def _of_output(name: str) -> str:
    return f"'s output {name}" if name else ""


def _judge(trial: _Trial, scores: Scores, reading: Reading, report: dict[str, Any]) -> list[Check]:
    """Returns the checks of our own gates and puts their numbers into the report."""
    scored, settled, request = scores.primary, trial.gates, trial.request
    challenger = scored.predictions[CHALLENGER]
    prior = scoring.prior(request.examples_path, reading)
    check, report["baseline"] = gates.beats_prior(settled, scored, challenger, prior)
    checks = [check]
    if trial.has_champion:
        contest = gates.Contest(scored.sample, challenger, scored.predictions[CHAMPION], trial.champion_title)
        check, report["fair_comparison"] = fair_comparison.check(
            settled, request.examples_path, request.champion_path, trial.champion_title
        )
        checks.append(check)
        check, report["comparison"] = gates.beats_champion(settled, contest)
        checks.append(check)
        if settled.slices:
            check, report["slice_comparison"] = gates.holds_on_slices(settled, contest, scores.columns)
            checks.append(check)
    if math.isfinite(settled.max_slice_gap):
        found, report["slice_gaps"] = slice_gap.checks(settled, scored.sample, challenger, scores.columns)
        checks += found
    return checks


def _conclude(trial: _Trial, outputs: Outputs, report: dict[str, Any], checks: list[Check]) -> Result:
    request = trial.request
    compared_with = (request.champion_version or "champion") if trial.has_champion else ""
    verdict = blessing.decide(request.model_path, checks, compared_with)
    report |= {
        "blessed": verdict.blessed,
        "compared_with": compared_with,
        "gates": dataclasses.asdict(trial.gates),
        "checks": [dataclasses.asdict(check) for check in verdict.checks],
    }
    report = summary.clean(report)
    layouts.write_json(f"{outputs.evaluation_path}/{layouts.SUMMARY}", report)
    layouts.write_text(outputs.view_path, view.draw(report))
    blessing.write(outputs.blessing_path, verdict)
    task_log.summary(summary.line(report))
    return Result(verdict.blessed, report)
