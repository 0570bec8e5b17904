"""On Beam's workers a model is judged as it is in memory: the same metrics, checks and verdict."""

import numpy as np
import pytest

import beam_workers
from evaluations import assert_blessed, assert_refused, at_least, config, rows, write_examples
from kfp_ct.base.errors import ComponentError, DataError
from kfp_ct.components.evaluate import beam_path, results, scoring
from kfp_ct.data import layouts

workers_leave_nothing_behind = beam_workers.leave_nothing_behind

# Where a slice has rows of one class only, TFMA divides by zero.
pytestmark = pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning:tensorflow_model_analysis")
HERE = ["--direct_num_workers=1"]
SLICING = """
    slicing_specs {} slicing_specs { feature_keys: 'origin' } slicing_specs { feature_keys: ['carrier', 'origin'] }"""
CHANGE = """per_slice_thresholds {
    slicing_specs { feature_keys: 'origin' }
    threshold { change_threshold { absolute { value: -0.02 } direction: HIGHER_IS_BETTER } } }"""
MORE = """
    metrics { class_name: 'BinaryCrossentropy' } metrics { class_name: 'Precision' } metrics { class_name: 'MeanLabel' }
    metrics { class_name: 'Calibration' } metrics { class_name: 'CalibrationPlot' }"""
BINARY = config(f"{at_least(0.6)} {CHANGE}", MORE, SLICING)
CLASSES = """
    model_specs { label_key: 'kind_name' }
    slicing_specs {}
    slicing_specs { feature_keys: 'origin' }
    metrics_specs {
      metrics { class_name: 'ExampleCount' }
      metrics { class_name: 'SparseCategoricalAccuracy'
        per_slice_thresholds { slicing_specs {} threshold { value_threshold { lower_bound { value: 0.5 } } } } }
      metrics { class_name: 'SparseCategoricalCrossentropy' }
    }"""
ORIGINS = {"slices": ["origin"], "max_slice_gap": 0.2, "min_slice_rows": 50}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Two files."""
    return write_examples(tmp_path_factory.mktemp("examples"), rows(1_500), shards=2)


def assert_same(memory, beam):
    ours, theirs = (flat(results.read(str(verdict.root / "evaluation"))) for verdict in (memory, beam))
    assert len(ours) >= 6
    assert theirs == pytest.approx(ours, abs=1e-6, nan_ok=True)
    assert [vars(check) for check in beam.blessing.checks] == [vars(check) for check in memory.blessing.checks]
    assert beam.result.blessed == memory.result.blessed
    for part in ("task", "rows", "curves", "comparison", "baseline", "slice_comparison", "slice_gaps", "classes"):
        assert beam.report[part] == memory.report[part]
    assert [(item["slice"], item["rows"]) for item in beam.report["slices"]] == [
        (item["slice"], item["rows"]) for item in memory.report["slices"]
    ]
    assert [path.name for path in (beam.root / "evaluation").iterdir() if path.is_dir()] == []


def flat(evaluation):
    return {(key, metric): value for key, metrics in evaluation.metrics for metric, value in metrics.items()}


@pytest.mark.slow
def test_two_worker_processes_judge_as_memory_does(judge, examples, monkeypatch):
    memory = judge("good", "fair", BINARY, examples, **ORIGINS)

    def refuse(*_):
        raise AssertionError("scored in this process")

    monkeypatch.setattr(scoring, "score", refuse)
    beam = judge("good", "fair", BINARY, examples, beam=beam_workers.TWO, **ORIGINS)

    assert_same(memory, beam)
    assert_blessed(beam)


def test_a_worse_model_is_refused_by_the_same_gates(judge, examples):
    memory, beam = (
        judge("blind at JFK", "good", BINARY, examples, beam=arguments, **ORIGINS) for arguments in ([], HERE)
    )

    assert_same(memory, beam)
    assert_refused(beam, "threshold", "champion", "slices", "slice_gap")


@pytest.mark.slow
def test_two_worker_processes_judge_several_classes_by_name(judge, examples):
    schema = "feature { name: 'kind_name' type: BYTES string_domain { value: 'early' value: 'on time' value: 'late' } }"
    memory, beam = (
        judge("classes", text=CLASSES, data=examples, schema=schema, beam=arguments)
        for arguments in ([], beam_workers.TWO)
    )

    assert_same(memory, beam)
    assert_blessed(beam)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        pytest.param("examples", config(model="example_weight_key: 'weight'"), id="weights and tf.Examples"),
        pytest.param("good", config(extra="} metrics_specs { query_key: 'carrier' metrics { class_name: 'NDCG' "
                     "config: '\"gain_key\": \"minutes\", \"top_k_list\": [2]' }"), id="any column"),
    ],
)  # fmt: skip
def test_what_tfma_asks_of_rows_reaches_it(judge, tmp_path, model, text):
    data = write_examples(tmp_path / "examples", rows(300), shards=2)
    memory, beam = (judge(model, text=text, data=data, beam=arguments) for arguments in ([], HERE))

    assert_same(memory, beam)


def test_files_without_rows_are_passed_over(judge, tmp_path):
    few = rows(3).slice(0, 3).set_column(4, "late", [[0, 1, 1]])
    data = write_examples(tmp_path / "examples", few, shards=4)
    memory, beam = (judge(text=config(), data=data, beam=arguments) for arguments in ([], HERE))

    assert beam.report["rows"] == 3
    assert_same(memory, beam)


def test_a_batch_in_which_no_row_counts_is_no_reason_to_stop(judge, tmp_path):
    table = rows(400)
    weights = np.where(np.arange(400) < 200, 0, 1).astype(np.float32)
    table = table.set_column(table.column_names.index("weight"), "weight", [weights])
    data = write_examples(tmp_path / "examples", table, shards=2)
    memory, beam = (
        judge(text=config(model="example_weight_key: 'weight'"), data=data, beam=arguments) for arguments in ([], HERE)
    )

    assert_same(memory, beam)


def test_an_eval_split_without_rows_cannot_be_judged(judge, tmp_path):
    data = write_examples(tmp_path / "examples", rows(0), shards=2)

    with pytest.raises(DataError, match="the eval split has no rows"):
        judge(data=data, beam=HERE)


def test_predictions_that_are_not_finite_refuse_the_model_and_leave_no_scores(judge, examples):
    verdict = judge("NaN", data=examples, beam=HERE)

    assert_refused(verdict, "predictions")
    assert not (verdict.root / "evaluation" / beam_path.SCORES).exists()


def test_a_worker_that_fails_stops_the_step_and_leaves_no_scores(judge, examples, models, tmp_path):
    file = layouts.split_files(write_examples(tmp_path / "examples", rows(100), shards=2), "eval")[1]
    with open(file, "wb") as broken:
        broken.write(b"no Parquet")

    with pytest.raises(ComponentError, match=r"the Beam pipeline that scores failed: .+\nexpected: every file"):
        judge(data=str(tmp_path / "examples"), beam=HERE)
    assert not list(tmp_path.rglob(beam_path.SCORES))
