"""Serves a model as it will be served, compares its answers with those of this process, and measures what it costs."""

import dataclasses
import json
from typing import Any

import pyarrow as pa

from kfp_ct.base import setting_problems, task_log
from kfp_ct.components.validate_infra import asking, budgets, load_test, rows, servers, signature, view
from kfp_ct.components.validate_infra.asking import Input
from kfp_ct.components.validate_infra.client import Client, Server, ServerError
from kfp_ct.components.validate_infra.load_test import LoadTest
from kfp_ct.components.validate_infra.settings import Infra
from kfp_ct.data import json_rows, layouts, saved_model
from kfp_ct.data.saved_model import Role, SavedModel
from kfp_ct.models import blessing
from kfp_ct.models.blessing import Check

_ROLE = Role("the model", "predict the rows", "name one of them as infra.signature")
_SHOWN_MISMATCHES = 20


@dataclasses.dataclass(frozen=True)
class InfraRequest:
    """What is served and compared; `champion_path` may hold no SavedModel."""

    examples_path: str
    model_path: str
    champion_path: str
    champion_version: str
    blessing_path: str
    infra: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where the final blessing, the report and the page go."""

    blessing_path: str
    report_path: str
    view_path: str


@dataclasses.dataclass(frozen=True)
class Result:
    """The verdict and the numbers to log."""

    blessed: bool
    measured: dict[str, float]

    def log_to(self, metrics: Any) -> None:
        """Logs what was measured to a `dsl.Metrics`."""
        for name, value in self.measured.items():
            metrics.log_metric(name, value)
        # kfp.local's cache takes an artifact without a file for a miss.
        layouts.write_json(metrics.path, self.measured)


def validate(request: InfraRequest, outputs: Outputs) -> Result:
    """Judges whether a blessed model can be served; a check that says no shows in the result.

    Args:
        request: What to serve.
        outputs: Where to write the final blessing, summary.json and the page.

    Returns:
        The verdict and the measurements.

    Raises:
        ComponentError: evaluate did not bless this model, it cannot be read here, or a setting does not fit.
    """
    settings = setting_problems.read(Infra, request.infra, "infra")
    evaluated = blessing.require(request.blessing_path, request.model_path, (blessing.EVALUATE,))
    found = _Validation([], {"model_mb": budgets.size_mb(request.model_path)}, [], [])
    sample = rows.sample(request.examples_path, settings.rows)
    with servers.beginning(request.model_path, settings) as connect:
        columns = list(layouts.read_manifest(request.examples_path).columns)
        model = SavedModel(request.model_path, settings.signature, columns, _ROLE)
        training_only = evaluated.training_only
        if sample is None:
            found.checks.append(Check("answers", False, "the eval split has no rows: no answer was compared"))
        elif no := asking.refusal(model, sample, training_only):
            found.checks.append(no)
        else:
            asked = _Asked(model, asking.client_rows(sample, training_only), training_only, connect)
            _serve(request, settings, asked, found)
    found.checks.extend(budgets.judge(settings, found.measured))
    return _conclude(request, outputs, settings, evaluated, found)


@dataclasses.dataclass(frozen=True)
class _Asked:
    """The model, the rows that it is asked about as a client has them, the columns that no client has, the service."""

    model: SavedModel
    rows: pa.RecordBatch
    training_only: dict[str, str]
    connect: servers.Connect


@dataclasses.dataclass
class _Validation:
    checks: list[Check]
    measured: dict[str, float]
    latencies_ms: list[float]
    mismatches: list[str]
    example: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: list[Input] = dataclasses.field(default_factory=list)
    rows: int = 0


def _serve(request: InfraRequest, settings: Infra, asked: _Asked, found: _Validation) -> None:
    expected, answering = asked.model.run(asked.rows), False
    try:
        task_log.progress("starting the prediction service" if settings.starts else f"asking {settings.server}")
        with asked.connect() as server:
            answering = True
            found.checks.append(Check("server", True, _server_text(server)))
            if server.load_s is not None:
                found.measured["load_s"] = server.load_s
            known = signature.read(request.model_path, settings.signature)
            found.inputs = asking.inputs(asked.model, known, asked.rows, server.nulls)
            found.checks.append(asking.described(found.inputs))
            sent = json_rows.instances(asked.rows, asked.model, server.nulls)
            task_log.progress(f"sending {len(sent):,} rows in batches and one by one")
            answers = load_test.run(server, sent, rows.with_booleans(sent) if server.nulls else sent, settings)
            found.measured |= answers.measured()
            if (memory := server.peak_memory_mb()) is not None:
                found.measured["memory_mb"] = memory
            _compare(answers, expected, settings, found)
            found.latencies_ms, found.rows = answers.latencies_ms, len(sent)
            first = {"signature_name": settings.signature, "instances": sent[:1]}
            found.example = {"request": first, "response": {"predictions": answers.single[:1]}}
            client = Client(server.url, settings.request_s)
            found.checks.append(_compatible(request, settings, client, (sent[0], asked.training_only)))
    except ServerError as error:
        found.checks.append(Check("answers" if answering else "server", False, str(error)))


def _server_text(server: Server) -> str:
    if server.load_s is None:
        return f"{server.url} answers for a model of this signature"
    warm = ", TensorFlow imported before" if server.warm else ""
    return f"the service answers {server.load_s:.1f} s after its start{warm}"


def _compare(answers: LoadTest, expected: dict[str, Any], settings: Infra, found: _Validation) -> None:
    for how, served in (("in batches", answers.batched), ("alone", answers.single)):
        for row, prediction in enumerate(served):
            if message := rows.difference(prediction, expected, row, settings.tolerance):
                found.mismatches.append(f"row {row} {how}: {message}")
    compared = len(answers.batched) + len(answers.single)
    if not compared:
        found.checks.append(Check("answers", False, "no answer was compared"))
    elif found.mismatches:
        message = f"{len(found.mismatches)} of {compared} answers differ from the model's own; {found.mismatches[0]}"
        found.checks.append(Check("answers", False, message))
    else:
        message = f"{compared} answers equal the model's own within {settings.tolerance:g}"
        found.checks.append(Check("answers", True, message))


def _compatible(request: InfraRequest, settings: Infra, client: Client, asked: tuple[Any, dict[str, str]]) -> Check:
    instance, training_only = asked
    if not saved_model.exists(request.champion_path):
        return Check("signature", True, "there is no champion whose clients could break")
    title = f"champion v{request.champion_version}" if request.champion_version else "the champion"
    before = signature.read(request.champion_path, settings.signature)
    after = signature.read(request.model_path, settings.signature)
    if before is None or after is None:
        return Check("signature", before is None, f"{title} has {'no' if before is None else 'a'} {settings.signature}")
    before = before.without(training_only)  # no client has ever sent them
    if broken := signature.breaking_changes(before, after):
        return Check("signature", False, f"clients of {title} would break: {'; '.join(broken)}")
    added = sorted(set(after.inputs) - set(before.inputs))
    if added:
        try:
            client.predict([{name: instance[name] for name in before.inputs}], settings.signature)
        except ServerError as error:
            message = (
                f"clients of {title} would break: without the new inputs {', '.join(added)} a request fails: {error}"
            )
            return Check("signature", False, message)
        finally:
            client.close()
    new = f"; a request without the new inputs {', '.join(added)} is answered" if added else ""
    return Check("signature", True, f"every input and output of {title} is there with its type{new}")


def _conclude(
    request: InfraRequest, outputs: Outputs, settings: Infra, evaluated: blessing.Blessing, found: _Validation
) -> Result:
    final = blessing.extended(evaluated, blessing.VALIDATE_INFRA, found.checks)
    measured = {name: round(value, 4) for name, value in found.measured.items()}
    report = {
        "blessed": final.blessed,
        "compared_with": evaluated.compared_with,
        "rows": found.rows,
        "settings": settings.model_dump(),
        "checks": [dataclasses.asdict(check) for check in found.checks],
        "measured": measured,
        "budgets": budgets.table(settings, found.measured),
        "mismatches": found.mismatches,
        "latencies_ms": [round(value, 3) for value in found.latencies_ms],
        "example": _finite(found.example),
        "inputs": [dataclasses.asdict(each) for each in found.inputs],
    }
    layouts.write_json(f"{outputs.report_path}/{layouts.SUMMARY}", report)
    layouts.write_text(outputs.view_path, view.draw(report, found.mismatches[:_SHOWN_MISMATCHES]))
    blessing.write(outputs.blessing_path, final)
    task_log.summary(_summary_line(report))
    return Result(final.blessed, measured)


def _finite(example: dict[str, Any]) -> dict[str, Any]:
    """Returns an example without the NaN that a broken model may answer, which JSON does not have."""
    cleaned: dict[str, Any] = json.loads(json.dumps(example), parse_constant=lambda _: None)
    return cleaned


def _summary_line(report: dict[str, Any]) -> str:
    refused = [check for check in report["checks"] if not check["passed"]]
    if refused:
        first = refused[0]["reason"].splitlines()[0]
        return f"not fit to serve: {len(refused)} of {len(report['checks'])} checks said no; {first}"
    measured = report["measured"]
    return (
        f"fit to serve: {report['rows']:,} rows answered alike, p50 {measured['p50_ms']:.1f} ms, "
        f"p99 {measured['p99_ms']:.1f} ms, {measured['rows_per_s']:,.0f} rows/s"
        f"{', {:,.0f} MB'.format(measured['memory_mb']) if 'memory_mb' in measured else ''}"
    )
