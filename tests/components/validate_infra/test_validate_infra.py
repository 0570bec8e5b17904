"""A model is served by the real service and its answers compared; anything clients would suffer from is a no."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
import tensorflow as tf
from kfp import dsl

import small_examples
from kfp_ct.base import setting_problems
from kfp_ct.base.errors import ConfigurationError, ModelNotBlessedError
from kfp_ct.components.validate_infra import rows, work
from kfp_ct.components.validate_infra.server import ServerError, serving
from kfp_ct.components.validate_infra.settings import Infra
from kfp_ct.data import layouts
from kfp_ct.models import blessing
from served_answers import COLUMNS, FEW, save

TRAINING_ONLY = {"label": "the label", "weight": "the weight"}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return small_examples.write(tmp_path_factory.mktemp("examples"), small_examples.table(30))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(tmp_path_factory.mktemp("good"))


class Verdict:
    def __init__(self, root, result):
        self.result = result
        self.report = layouts.read_json(root / "report" / layouts.SUMMARY)
        self.blessing = blessing.read(root / "final")
        self.page = (root / "view.html").read_text()

    def reason(self, gate):
        return next(check["reason"] for check in self.report["checks"] if check["gate"] == gate and not check["passed"])


@pytest.fixture
def judge(tmp_path, examples):
    def judged(model, champion="", data=examples, training_only=TRAINING_ONLY, **infra):
        checks = [blessing.Check("auc", True, "good")]
        blessing.write(tmp_path / "evaluated", blessing.decide(model, checks, training_only=training_only))
        request = work.InfraRequest(
            data, model, champion or str(tmp_path / "none"), "3" if champion else "", str(tmp_path / "evaluated"),
            {**FEW, **infra},
        )  # fmt: skip
        outputs = work.Outputs(str(tmp_path / "final"), str(tmp_path / "report"), str(tmp_path / "view.html"))
        return Verdict(tmp_path, work.validate(request, outputs))

    return judged


@pytest.mark.usefixtures("real_interpreter")
def test_a_model_that_is_served_as_it_predicts_is_blessed(judge, good, capsys, tmp_path):
    verdict = judge(good, p99_ms=600_000, min_rows_per_s=1e-6, max_memory_mb=1e6)
    assert verdict.result.blessed
    assert [check.gate for check in verdict.blessing.checks][:2] == ["auc", "server"]
    assert verdict.blessing.stages == ["evaluate", "validate_infra"]
    assert set(verdict.result.measured) == {"p50_ms", "p99_ms", "rows_per_s", "memory_mb", "load_s", "model_mb"}
    assert all(value > 0 for value in verdict.result.measured.values())
    assert "24 answers equal" in next(c["reason"] for c in verdict.report["checks"] if c["gate"] == "answers")
    assert set(verdict.report["example"]["request"]["instances"][0]) == set(COLUMNS)
    assert "there is no champion" in str(verdict.report["checks"])
    assert "Fit to serve" in verdict.page
    assert "summary: fit to serve: 12 rows" in capsys.readouterr().out
    assert blessing.require(tmp_path / "final", good).blessed


def test_the_blessing_of_evaluate_alone_is_not_enough(judge, good, tmp_path):
    blessing.write(tmp_path, blessing.decide(good, [blessing.Check("auc", True, "good")]))
    with pytest.raises(ModelNotBlessedError, match="lacks the stage validate_infra"):
        blessing.require(tmp_path, good)


def test_a_model_that_evaluate_refused_is_not_served(good, tmp_path, examples):
    blessing.write(tmp_path, blessing.decide(good, [blessing.Check("auc", False, "auc too low")]))
    request = work.InfraRequest(examples, good, str(tmp_path), "", str(tmp_path), {})
    with pytest.raises(ModelNotBlessedError, match="refused by evaluate"):
        work.validate(request, work.Outputs(str(tmp_path), str(tmp_path), str(tmp_path / "x.html")))


def parsing(**demanded):
    """Answers from serialised examples, of which it demands some features and takes others."""
    spec = {name: tf.io.FixedLenFeature([], kind) for name, kind in demanded.items()}
    spec |= {"weight": tf.io.FixedLenFeature([], tf.float32, default_value=0.0)} if "weight" not in spec else {}

    def answer(features):
        return tf.io.parse_example(features["examples"], spec)["size"]

    return answer


@pytest.mark.parametrize(
    ("demanded", "named", "fix"),
    [
        ({"label": tf.int64}, "label (the label)", r"feature_spec\.pop\('label'\) before tf\.io\.parse_example"),
        ({"weight": tf.float32}, "weight (the weight)", 'in_environment: "SERVING"` of its feature'),
        (
            {"id": tf.string},
            "id (not in the schema's environment SERVING)",
            'take `not_in_environment: "SERVING"` from',
        ),
        (
            {"label": tf.int64, "id": tf.string},
            "id (not in the schema's environment SERVING), label (the label)",
            "pop",
        ),
    ],
    ids=["label", "weight", "schema", "several"],
)
def test_a_model_that_parses_what_no_client_has_is_a_no(judge, tmp_path, demanded, named, fix):
    answer = parsing(size=tf.float32, **demanded)
    unserved = TRAINING_ONLY | {"id": "not in the schema's environment SERVING"}
    complete = small_examples.table(30).drop_null()
    data = small_examples.write(tmp_path / "complete", complete, complete)
    verdict = judge(save(tmp_path / "model", {"examples": tf.string}, answer=answer), "", data, unserved)

    assert not verdict.result.blessed
    assert f"the serving signature cannot be asked without {named}, which no client has" in verdict.reason("request")
    assert re.search(fix, verdict.reason("request"))
    with pytest.raises(ModelNotBlessedError, match="which no client has when it asks"):
        blessing.require(tmp_path / "final", str(tmp_path / "model"))


@pytest.mark.parametrize("column", [{"label": tf.int64}, {"weight": tf.float32}], ids=["label", "weight"])
def test_a_signature_of_columns_that_no_client_has_is_a_no(judge, tmp_path, column):
    verdict = judge(save(tmp_path / "model", COLUMNS | column))
    assert not verdict.result.blessed
    (name,) = column
    assert f"the serving signature takes {name} (the {name})" in verdict.reason("request")
    assert f"fix: leave {name} out of the signature's inputs" in verdict.reason("request")


def test_the_report_lists_what_a_request_must_have(judge, good, tmp_path):
    columns = judge(good).report
    assert columns["inputs"] == [
        {"name": "colour", "type": "string [-1]", "optional": True},
        {"name": "count", "type": "int64 [-1]", "optional": True},
        {"name": "size", "type": "float32 [-1]", "optional": True},
    ]
    answer = parsing(size=tf.float32, count=tf.int64)
    table = small_examples.table(30).drop_null()
    data = small_examples.write(tmp_path / "full", table, table)
    examples = judge(save(tmp_path / "model", {"examples": tf.string}, answer=answer), data=data)
    assert examples.result.blessed
    assert {each["name"]: each["optional"] for each in examples.report["inputs"]} == {
        "id": True, "size": False, "count": False, "colour": True,
    }  # fmt: skip
    assert "a request must have size, count; id, colour may be left out" in str(examples.report["checks"])
    assert "What a request has" in examples.page


def test_rows_are_sent_as_clients_have_them(judge, tmp_path):
    table = small_examples.table(30)
    flags = pa.array([float(n % 2) for n in range(30)], pa.float32())
    table = table.set_column(1, "size", flags).set_column(2, "weight", pa.array([1718000000.0] * 30, pa.float32()))
    data = small_examples.write(tmp_path / "whole", table, table)
    verdict = judge(save(tmp_path / "model", {**COLUMNS, "weight": tf.float32}), data=data, training_only={})

    assert verdict.result.blessed
    sent = verdict.report["example"]["request"]["instances"][0]
    assert (sent["size"], sent["weight"]) == (0, 1718000000)
    assert isinstance(sent["weight"], int)
    alone = rows.with_booleans([{"flag": 0, "count": 0, "text": "1"}, {"flag": 1, "count": 2, "text": "0"}])
    assert [row["flag"] for row in alone] == [False, True]
    assert [row["count"] for row in alone] == [0, 2]
    assert [row["text"] for row in alone] == ["1", "0"]


def test_a_champion_that_took_the_label_does_not_keep_its_successor_out(judge, good, tmp_path):
    champion = save(tmp_path / "champion", {**COLUMNS, "label": tf.int64})
    assert judge(good, champion).result.blessed


def test_serialised_examples_are_sent_to_a_model_that_takes_them(judge, tmp_path):
    def answer(features):
        parsed = tf.io.parse_example(features["examples"], {"size": tf.io.FixedLenFeature([1], tf.float32)})
        return parsed["size"]

    assert judge(save(tmp_path / "model", {"examples": tf.string}, answer=answer)).result.blessed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(lambda f: tf.random.uniform(tf.shape(f["size"])), "a difference of", id="random"),
        pytest.param(lambda f: f["size"] * float("nan"), "not finite", id="nan"),
    ],
)
def test_other_answers_than_the_models_own_are_a_no(judge, tmp_path, answer, said):
    verdict = judge(save(tmp_path / "model", answer=answer))
    assert not verdict.result.blessed
    assert "24 of 24 answers differ" in verdict.reason("answers")
    assert said in verdict.report["mismatches"][0]
    assert len(verdict.report["mismatches"]) == 24
    assert (tmp_path / "final" / "NOT_BLESSED").is_file()


def test_zero_rows_are_a_no(judge, good, tmp_path):
    table = small_examples.table(10)
    verdict = judge(good, data=small_examples.write(tmp_path / "empty", table, table.slice(0, 0), shards=1))
    assert not verdict.result.blessed
    assert "has no rows" in verdict.reason("answers")


@pytest.mark.usefixtures("real_interpreter")
def test_budgets_that_are_exceeded_are_a_no(judge, good):
    limits = {"p50_ms": 1e-6, "p99_ms": 1e-6, "max_memory_mb": 1, "max_load_s": 1e-6, "max_model_mb": 1e-9}
    verdict = judge(good, **limits, min_rows_per_s=1e12)
    assert not verdict.result.blessed
    for gate in (*limits, "min_rows_per_s"):
        assert "allowed" in verdict.reason(gate)


def test_a_service_that_does_not_start_in_time_is_a_no(judge, good):
    verdict = judge(good, start_s=0.001, p99_ms=10)
    assert "did not start within" in verdict.reason("server")
    assert "was not measured" in verdict.reason("p99_ms")


def test_a_model_that_cannot_be_loaded_is_a_no_with_the_log(tmp_path):
    layouts.write_text(tmp_path / layouts.SERVING_MODEL / "saved_model.pb", "no model")
    with pytest.raises(ServerError, match="cannot load the model; its log ends:\n"), serving(str(tmp_path), 300):
        pass


@pytest.mark.parametrize(
    ("inputs", "output", "said"),
    [
        pytest.param({"size": tf.float32, "colour": tf.string}, "probability", "input count was removed", id="removed"),
        pytest.param({**COLUMNS, "count": tf.float32}, "probability", "count was int64 [-1], is float32", id="retyped"),
        pytest.param(COLUMNS, "score", "output probability was removed", id="output"),
    ],
)
def test_what_breaks_the_champions_clients_is_a_no(judge, good, tmp_path, inputs, output, said):
    verdict = judge(save(tmp_path / "model", inputs, output), good)
    assert not verdict.result.blessed
    assert said in verdict.reason("signature")
    assert "clients of champion v3" in verdict.reason("signature")


def test_a_new_input_is_fine_where_a_request_without_it_is_answered(judge, good, tmp_path):
    verdict = judge(save(tmp_path / "model", {**COLUMNS, "weight": tf.float32}), good, training_only={})
    assert verdict.result.blessed
    assert "without the new inputs weight is answered" in str(verdict.report["checks"])


def test_a_new_input_that_must_be_there_is_a_no(judge, good, tmp_path, examples):
    def answer(features):
        with tf.control_dependencies([tf.debugging.assert_greater(tf.strings.length(features["id"]), 0)]):
            return tf.identity(features["size"])[:, None]

    verdict = judge(save(tmp_path / "model", {**COLUMNS, "id": tf.string}, answer=answer), good)
    assert "without the new inputs id a request fails" in verdict.reason("signature")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"p98_ms": 3}, "infra.p98_ms is not a setting: did you mean p99_ms"),
        ({"rows": 0}, "infra.rows is 0"),
        ({"rows": 1.5}, "whole number"),
        ({"p99_ms": -1}, "above 0"),
        ({"p99_ms": True}, "above 0"),
        ({"signature": ""}, 'infra.signature is "": expected a text that is not empty'),
        ({"server": "docker:"}, "expected subprocess, docker:IMAGE"),
        ({"server": "http://host:8501"}, "a model's address"),
        ({"server": "http://host:8501/v1/models/x:predict"}, "a model's address"),
        ({"server": 1}, "infra.server is 1"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, said):
    with pytest.raises(ConfigurationError, match=said):
        setting_problems.read(Infra, settings, "infra")


def left(processes):
    """Waits for processes to end; returns those that have not."""
    return psutil.wait_procs(processes, timeout=120)[1]


@pytest.mark.usefixtures("real_interpreter")
def test_a_killed_step_leaves_no_service(good):
    code = (
        "import sys, time\nfrom kfp_ct.components.validate_infra.server import serving\n"
        f"with serving({good!r}, 300):\n    print('up', flush=True)\n    time.sleep(600)\n"
    )
    root = Path(work.__file__).parents[3]
    step = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert step.stdout.readline() == "up\n"
        services = psutil.Process(step.pid).children()
        assert services
        os.kill(step.pid, signal.SIGKILL)
        step.wait()
        # Where nobody collects orphans, as in a container without an init process, they stay as zombies.
        assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in left(services))
    finally:
        step.kill()
        step.stdout.close()
        for service in services:
            with contextlib.suppress(psutil.NoSuchProcess):
                service.kill()


def test_what_was_measured_is_logged_and_kept_in_a_file(tmp_path):
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    work.Result(True, {"p50_ms": 1.5, "memory_mb": 800.0}).log_to(metrics)
    assert metrics.metadata == {"p50_ms": 1.5, "memory_mb": 800.0} == layouts.read_json(tmp_path / "metrics")
