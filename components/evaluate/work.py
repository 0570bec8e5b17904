"""Scores challenger and champion on the same rows, lets TFMA compute the metrics, and decides."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from kfp_ct.base import setting_problems, task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.evaluate import (
    array_metrics,
    beam_path,
    extracted,
    extractors,
    fair_comparison,
    gates,
    model_statement_gate,
    preprocessed,
    results,
    scoring,
    slice_gap,
    summary,
    thresholds,
    view,
)
from kfp_ct.components.evaluate.config import CHALLENGER, CHAMPION, Plan, read_plan
from kfp_ct.components.evaluate.model import Model
from kfp_ct.components.evaluate.samples import Scores
from kfp_ct.components.evaluate.scoring import Predicted
from kfp_ct.components.evaluate.settings import LOGITS, MULTICLASS, MULTILABEL, Gates
from kfp_ct.components.evaluate.summary import Result
from kfp_ct.components.evaluate.tasks import Decoder
from kfp_ct.data import batches, layouts, saved_model
from kfp_ct.models import blessing
from kfp_ct.models.blessing import Check


@dataclasses.dataclass(frozen=True)
class EvaluationRequest:
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
class _Job:
    """A request with everything checked and read that can be before a row is scored."""

    request: EvaluationRequest
    plan: Plan
    gates: Gates
    has_champion: bool
    training_only: dict[str, str]

    @property
    def champion_title(self) -> str:
        version = self.request.champion_version
        return f"champion v{version}" if version else "the champion"

    @property
    def files(self) -> list[str]:
        """Files of the splits to judge on."""
        return layouts.files_of_splits(self.request.examples_path, self.gates.example_splits)

    @property
    def models(self) -> dict[str, str]:
        """TFMA's model name → model artifact."""
        models = {CHALLENGER: self.request.model_path}
        return models | {CHAMPION: self.request.champion_path} if self.has_champion else models

    @property
    def titles(self) -> dict[str, str]:
        """TFMA's model name → what messages call the model."""
        titles = {CHALLENGER: "the model"}
        return titles | {CHAMPION: self.champion_title} if self.has_champion else titles


def evaluate(request: EvaluationRequest, outputs: Outputs) -> Result:
    """Judges a model; a gate that says no shows in the result, only what cannot be judged raises.

    Args:
        request: What to judge.
        outputs: Where to write TFMA's result folder with summary.json, the blessing, and the page.

    Returns:
        The verdict and the metrics to log.

    Raises:
        ComponentError: There are no rows to judge on, a model cannot be read or scored, or a setting does not fit.
    """
    asked = setting_problems.read(Gates, request.gates, "gates")
    plan = read_plan(request.eval_config)
    # A user's extractors call TFMA's own, which preprocess as well.
    functions = () if asked.extractors else plan.preprocessing
    making = preprocessed.Preprocessing(functions, request.model_path, [*plan.columns, *asked.slices])
    with preprocessed.rows(making, request.examples_path, outputs.evaluation_path) as examples_path:
        return _evaluate(dataclasses.replace(request, examples_path=examples_path), outputs, plan, asked)


def _evaluate(request: EvaluationRequest, outputs: Outputs, plan: Plan, asked: Gates) -> Result:
    schema = batches.read_schema(request.schema_file)
    has_champion = saved_model.exists(request.champion_path)
    job = _Job(request, plan, asked, has_champion, plan.training_only(schema))
    config = job.plan.for_run(job.has_champion)
    wanted = _computations(config, schema, request.eval_config)
    with _workers(job, outputs) as workers:
        carry_all = bool(array_metrics.unsupported(config, wanted))
        predicted = _extract(job, outputs) if asked.extractors else _predict(job, carry_all, workers)
        job, decoders, scores = _read(job, schema, predicted)
        checks = _finite(job, scores)
        if not all(check.passed for check in checks):
            results.write(outputs.evaluation_path, config, [])
            return _conclude(job, outputs, summary.empty(scores), checks)
        slow = array_metrics.unsupported(config, wanted, job.gates.task)
        if slow or workers:
            _require_slices_of_values(job, decoders)
        with _tfma_errors(request.eval_config, job.gates.task):
            if workers:
                columns = None if carry_all else scores.columns.column_names
                workers.write(outputs.evaluation_path, beam_path.Rows(columns, decoders, job.titles), config, schema)
            elif slow:
                task_log.progress(f"{slow}: computed row by row on TFMA's ordinary path, which is slow")
                results.write_with_beam(outputs.evaluation_path, scores, config, schema)
            else:
                results.write(outputs.evaluation_path, config, results.from_arrays(scores, config, wanted))
    evaluation = results.read(outputs.evaluation_path)
    sizes = summary.sizes(scores, evaluation, config)
    checks += thresholds.checks(evaluation, config, sizes, job.gates)
    report = summary.describe(scores, evaluation, sizes)
    checks += _judge(job, scores, decoders[0], report)
    return _conclude(job, outputs, report, checks)


def _workers(job: _Job, outputs: Outputs) -> contextlib.AbstractContextManager[beam_path.Workers | None]:
    request = job.request
    if not request.beam_pipeline_args or job.gates.extractors:
        return contextlib.nullcontext()
    return beam_path.workers(job.files, outputs.evaluation_path, request.beam_pipeline_args)


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


def _predict(job: _Job, carry_all: bool, workers: beam_path.Workers | None) -> Predicted:
    request, plan = job.request, job.plan
    keep = scoring.check_columns(request.examples_path, plan, job.gates.slices)
    there = list(layouts.read_manifest(request.examples_path).columns)
    signature = scoring.signature(request.examples_path, plan, job.gates)
    loaders = {
        name: functools.partial(Model, path, job.titles[name], signature, there) for name, path in job.models.items()
    }
    # Loaded here even if workers score: what does not fit is said before they start.
    models = {name: load() for name, load in loaders.items()}
    for model in models.values():
        model.require_shapes(layouts.read_manifest(request.examples_path).shapes)
    if workers:
        return workers.predict(loaders, keep)
    return scoring.predict(job.files, models, there if carry_all else keep)


def _extract(job: _Job, outputs: Outputs) -> Predicted:
    """Lets the rows go through the user's extractors, in place of asking the models by their signature."""
    request, plan = job.request, job.plan
    made = {name for output in plan.outputs for name in (output.label, output.weight)}
    columns = [name for name in dict.fromkeys([*plan.columns, *job.gates.slices]) if name not in made]
    asked = extracted.Extraction(
        extractors.load(job.gates.extractors), plan, job.models, job.files, columns,
        job.gates.model_output == LOGITS, job.gates.task == MULTICLASS,
    )  # fmt: skip
    return extracted.predict(asked, outputs.evaluation_path, request.beam_pipeline_args)


def _read(job: _Job, schema: schema_pb2.Schema, predicted: Predicted) -> tuple[_Job, list[Decoder], Scores]:
    """Returns the job with its task filled in, how its outputs are decoded, and the rows after prediction."""
    decoders = scoring.decoders(job.plan, job.gates, schema, predicted, job.request.model_path)
    job = dataclasses.replace(job, gates=job.gates.settled(decoders[0].task))
    return job, decoders, scoring.scores(predicted, decoders, job.titles, job.gates.metric)


def _require_slices_of_values(job: _Job, decoders: list[Decoder]) -> None:
    """TFMA's ordinary path has a 0 or 1 for every class in place of the label's list, and would slice by those."""
    named = {decoder.output.label for decoder in decoders if decoder.task == MULTILABEL}
    if found := sorted(named & set(job.plan.slice_columns)):
        raise ConfigurationError(
            f"slicing_specs name the label {found[0]}, a list, beside metrics or options that TFMA computes row by "
            f"row\nexpected: slices of other columns\nfix: select {found[0]} once more under another name in the query"
        )


def _finite(job: _Job, scores: Scores) -> list[Check]:
    return [
        gates.finite(f"{job.titles[name]}{_output_suffix(scored.output.name)}", predictions)
        for scored in scores.outputs
        for name, predictions in scored.predictions.items()
    ]


def _output_suffix(name: str) -> str:
    return f"'s output {name}" if name else ""


def _judge(job: _Job, scores: Scores, decoder: Decoder, report: dict[str, Any]) -> list[Check]:
    """Returns the checks of our own gates and puts their numbers into the report."""
    scored, rules, request = scores.primary, job.gates, job.request
    challenger = scored.predictions[CHALLENGER]
    prior = scoring.own_prior(scored) if rules.extractors else scoring.prior(request.examples_path, decoder)
    check, report["baseline"] = gates.beats_constant(rules, scored, challenger, prior)
    checks = [check]
    if job.has_champion:
        paired = gates.PairedPredictions(scored.sample, challenger, scored.predictions[CHAMPION], job.champion_title)
        check, report["fair_comparison"] = fair_comparison.check(
            rules, request.examples_path, request.champion_path, job.champion_title
        )
        checks.append(check)
        check, report["comparison"] = gates.beats_champion(rules, paired)
        checks.append(check)
        if rules.slices:
            check, report["slice_comparison"] = gates.holds_on_slices(rules, paired, scores.columns)
            checks.append(check)
    if rules.max_slice_gap is not None:
        found, report["slice_gaps"] = slice_gap.checks(rules, scored.sample, challenger, scores.columns)
        checks += found
    if rules.model_card:
        check, report["statement"] = model_statement_gate.check(rules.model_card)
        checks.append(check)
    return checks


def _conclude(job: _Job, outputs: Outputs, report: dict[str, Any], checks: list[Check]) -> Result:
    request = job.request
    compared_with = (request.champion_version or "champion") if job.has_champion else ""
    verdict = blessing.decide(request.model_path, checks, compared_with, job.training_only)
    report |= {
        "blessed": verdict.blessed,
        "compared_with": compared_with,
        "gates": job.gates.model_dump(),
        "eval_config": {"reference": request.eval_config, "text": job.plan.text},
        "checks": [dataclasses.asdict(check) for check in verdict.checks],
    }
    report = summary.clean(report)
    layouts.write_json(f"{outputs.evaluation_path}/{layouts.SUMMARY}", report)
    layouts.write_text(outputs.view_path, view.draw(report))
    blessing.write(outputs.blessing_path, verdict)
    task_log.summary(summary.line(report))
    return Result(verdict.blessed, report)
