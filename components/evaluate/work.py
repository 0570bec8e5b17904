"""Scores challenger and champion on the same rows, lets TFMA compute the metrics, and decides."""

import dataclasses
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis.proto import config_pb2

from components import artifacts, batches, blessing, log, saved_model
from components.blessing import Check
from components.errors import ConfigurationError
from components.evaluate import array_metrics, gates, results, scoring, summary, thresholds, view
from components.evaluate.config import CHALLENGER, CHAMPION, Gates, Plan, read_gates, read_plan
from components.evaluate.model import Model, Signature
from components.evaluate.results import Scores
from components.evaluate.summary import Result


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
    slow = array_metrics.unsupported(config, wanted)
    scores = _score(trial, carry_all=bool(slow))
    checks = [gates.finite("the model", scores.predictions[CHALLENGER])]
    if trial.has_champion:
        checks.append(gates.finite(trial.champion_title, scores.predictions[CHAMPION]))
    if not all(check.passed for check in checks):
        results.write(outputs.evaluation_path, config, [])
        return _conclude(trial, outputs, summary.empty(scores), checks)
    if slow:
        log.progress(f"{slow}: computed row by row on TFMA's ordinary path, which is slow")
        results.write_with_beam(outputs.evaluation_path, scores, config, schema)
    else:
        results.write(outputs.evaluation_path, config, results.from_arrays(scores, config, wanted))
    evaluation = results.read(outputs.evaluation_path)
    checks += thresholds.checks(evaluation, config)
    account = summary.describe(scores, evaluation, config)
    checks += _judge(trial, scores, account)
    return _conclude(trial, outputs, account, checks)


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


def _score(trial: _Trial, carry_all: bool) -> Scores:
    request, plan = trial.request, trial.plan
    columns = scoring.check_columns(request.examples_path, plan, trial.gates.slices)
    there = list(artifacts.read_manifest(request.examples_path).columns)
    if carry_all:
        columns = dataclasses.replace(columns, keep=[name for name in there if name != plan.label])
    paths = {CHALLENGER: (request.model_path, "the model")}
    if trial.has_champion:
        paths[CHAMPION] = (request.champion_path, trial.champion_title)
    signature = Signature(plan.signature, plan.prediction_key)
    models = {name: Model(path, title, signature, there) for name, (path, title) in paths.items()}
    return scoring.score(request.examples_path, models, columns)


def _judge(trial: _Trial, scores: Scores, account: dict[str, Any]) -> list[Check]:
    """Returns the checks of our own gates and puts their numbers into the account."""
    challenger = scores.predictions[CHALLENGER]
    prior = scoring.prior(trial.request.examples_path, scores.label)
    check, account["baseline"] = gates.beats_prior(trial.gates, scores.labels, challenger, prior)
    checks = [check]
    if trial.has_champion:
        contest = gates.Contest(scores.labels, challenger, scores.predictions[CHAMPION], trial.champion_title)
        check, account["comparison"] = gates.beats_champion(trial.gates, contest)
        checks.append(check)
        if trial.gates.slices:
            check, account["slice_comparison"] = gates.holds_on_slices(trial.gates, contest, scores.columns)
            checks.append(check)
    return checks


def _conclude(trial: _Trial, outputs: Outputs, account: dict[str, Any], checks: list[Check]) -> Result:
    request = trial.request
    compared_with = (request.champion_version or "champion") if trial.has_champion else ""
    verdict = blessing.decide(request.model_path, checks, compared_with)
    account |= {
        "blessed": verdict.blessed,
        "compared_with": compared_with,
        "gates": dataclasses.asdict(trial.gates),
        "checks": [dataclasses.asdict(check) for check in verdict.checks],
    }
    account = summary.clean(account)
    artifacts.write_json(f"{outputs.evaluation_path}/{artifacts.SUMMARY}", account)
    artifacts.write_text(outputs.view_path, view.page(account))
    blessing.write(outputs.blessing_path, verdict)
    log.finding(summary.finding(account))
    return Result(verdict.blessed, account)
