"""On Beam's workers in two processes every step gives what it gives in memory, and leaves nothing behind."""

import collections
import os
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft

import beam_workers
import predicting
import small_examples
from kfp_ct.base.errors import ComponentError
from kfp_ct.components.predict_batch import work as predict_work
from kfp_ct.components.statistics import work as statistics_work
from kfp_ct.components.transform import work as transform_work
from kfp_ct.data import batches, beam_runner, layouts, reading
from kfp_ct.data.transform_graph import TransformGraph

TWO = beam_workers.TWO
workers_leave_nothing_behind = beam_workers.leave_nothing_behind
ROWS = 4_000


class Whose(beam.DoFn):
    """Says which process an element is in."""

    def process(self, element):
        # Long enough for the other worker to take the next.
        np.linalg.svd(np.random.default_rng(element).random((300, 300)))
        yield os.getpid()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("beam")
    examples = small_examples.write(root / "examples", small_examples.table(ROWS), shards=4)
    schema = small_examples.write_text(root / "schema.pbtxt", small_examples.SCHEMA)
    module = small_examples.write_text(root / "small_features.py", small_examples.PREPROCESSING)
    return examples, schema, module


def test_two_processes_that_are_not_this_one_share_the_work(tmp_path):
    with beam_runner.pipeline(TWO) as pipeline:
        _ = (
            pipeline
            | beam.Create(range(64))
            | beam.Reshuffle()
            | beam.ParDo(Whose())
            | beam.io.WriteToText(str(tmp_path / "processes"))
        )
    lines = [line for file in tmp_path.iterdir() for line in file.read_text().split()]
    found = collections.Counter(map(int, lines))
    assert sum(found.values()) == 64
    assert len(found) == 2
    assert os.getpid() not in found


@pytest.mark.parametrize("arguments", [[], ["--runner=DirectRunner"], ["--direct_num_workers=1"]])
def test_a_runner_of_this_machine_is_named_so_that_none_is_downloaded(arguments):
    assert beam_runner.options(arguments).get_all_options()["runner"] == beam_runner.IN_PROCESS


def test_another_runner_stays_as_it_was_asked_for():
    options = beam_runner.options(["--runner=FlinkRunner", "--flink_master=localhost:1"])
    assert options.get_all_options()["runner"] == "FlinkRunner"


@pytest.mark.slow
def test_statistics_are_those_computed_in_memory(dataset, tmp_path):
    for name, arguments in (("memory", []), ("beam", TWO)):
        statistics_work.write_statistics(dataset[0], str(tmp_path / name), str(tmp_path / f"{name}.html"), arguments)
    for split in ("train", "eval"):
        ours, beams = (
            tfdv.load_stats_binary(str(layouts.split_path(tmp_path / name, split) / layouts.STATISTICS_FILE))
            for name in ("memory", "beam")
        )
        assert ours.datasets[0].num_examples == (ROWS if split == "train" else 100)
        assert_same_statistics(ours.datasets[0], beams.datasets[0])


def assert_same_statistics(ours, beams):
    assert (ours.name, ours.num_examples) == (beams.name, beams.num_examples)
    mine, others = ({f.path.step[0]: f for f in each.features} for each in (ours, beams))
    assert mine.keys() == others.keys()
    for name, feature in mine.items():
        other = others[name]
        if feature.HasField("num_stats"):
            a, b = feature.num_stats, other.num_stats
            assert (a.min, a.max, a.num_zeros) == (b.min, b.max, b.num_zeros)
            assert (a.mean, a.std_dev) == pytest.approx((b.mean, b.std_dev), rel=1e-9)
            # Quantiles are sketches: TFDV's own tolerance is a hundredth of the rows.
            assert abs(a.median - b.median) <= 0.02 * (a.max - a.min)
            assert a.common_stats.num_non_missing == b.common_stats.num_non_missing
        else:
            a, b = feature.string_stats, other.string_stats
            assert (a.unique, a.avg_length) == (b.unique, pytest.approx(b.avg_length, rel=1e-6))
            top = lambda stats: {v.value: v.frequency for v in stats.top_values}  # noqa: E731
            assert name == "id" or top(a) == top(b)
            assert a.common_stats.num_non_missing == b.common_stats.num_non_missing


@pytest.mark.slow
def test_the_transform_graph_and_the_transformed_rows_are_those_made_in_memory(dataset, tmp_path):
    outputs, tables = [], []
    examples, schema, module = dataset
    for name, arguments in (("memory", []), ("beam", TWO)):
        request = transform_work.TransformRequest(examples, schema, module, arguments)
        graph, rows = str(tmp_path / name / "graph"), str(tmp_path / name / "rows")
        transform_work.analyze(request, graph)
        transform_work.write_examples(request, graph, rows, materialize=True)
        outputs.append(tft.TFTransformOutput(graph))
        files = layouts.split_files(rows, "train")
        assert len(files) == 4
        tables.append(pa.concat_tables([pyarrow.parquet.read_table(file) for file in files]))
        assert not list(Path(rows).rglob(".*"))
    assert vocabularies(outputs[0]) == vocabularies(outputs[1])
    specs = batches.feature_specs(batches.read_schema(schema))
    batch = next(reading.iter_batches(layouts.split_files(examples, "eval")))
    raw = batches.to_arrays(batch, {name: spec.dtype for name, spec in specs.items()})
    mine, others = (
        TransformGraph(output)(batches.to_features({n: tf.constant(v) for n, v in raw.items()}, specs))
        for output in outputs
    )
    assert mine.keys() == others.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], others[name], rtol=1e-5, atol=1e-6)
    assert tables[0].num_rows == tables[1].num_rows == ROWS
    for name in tables[0].column_names:
        first, second = (np.concatenate(table[name].to_pylist()) for table in tables)
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def vocabularies(output):
    folder = Path(output.transform_savedmodel_dir) / "assets"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predicting.save(tmp_path_factory.mktemp("model"))


@pytest.mark.slow
def test_predictions_are_those_made_in_memory(model, tmp_path):
    examples = predicting.dataset(tmp_path / "examples", rows=2_000)
    tables = []
    for name, arguments in (("memory", []), ("beam", TWO)):
        request = predict_work.PredictionRequest(examples, model, "7", ["id"], beam_pipeline_args=arguments)
        written = predict_work.predict(request, {}, str(tmp_path / name), shard_rows=300)
        assert written.metadata["rows"] == 2_000
        files = layouts.split_files(written.folder, "predict")
        tables.append(pa.concat_tables([pyarrow.parquet.read_table(file) for file in files]))
    assert tables[0].drop(["predicted_at"]).equals(tables[1].drop(["predicted_at"]))


def test_a_shard_that_fails_on_a_worker_stops_the_step_and_what_was_finished_is_kept(model, tmp_path):
    examples = predicting.dataset(tmp_path / "examples", rows=600)
    request = predict_work.PredictionRequest(
        examples, model, "7", ["id"], signature="total", beam_pipeline_args=["--direct_num_workers=1"]
    )
    with pytest.raises(ComponentError, match="the model's output sum has the shape"):
        predict_work.predict(request, {}, str(tmp_path / "out"))
    assert not (tmp_path / "out" / layouts.MANIFEST).exists()
