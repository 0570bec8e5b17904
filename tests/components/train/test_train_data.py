"""How rows reach a model: conversions, blocks, and the data accessor with TFX's options."""

import collections
import math

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import strategies as st
from tfx_bsl.public.tfxio import RecordBatchesOptions, TensorFlowDatasetOptions

import small_examples
from depth import tries
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.data import batches, layouts, shuffling
from kfp_ct.data.training_data import Reader

ROWS = 1_003


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return small_examples.prepare(tmp_path_factory.mktemp("data"), ROWS)


@pytest.fixture(scope="module")
def reader(prepared):
    return Reader(batches.read_schema(prepared[1]), prepared[2])


@pytest.fixture(scope="module")
def files(prepared):
    return layouts.split_files(prepared[0], "train")


def options(**changed):
    return TensorFlowDatasetOptions(**{"batch_size": 100, "num_epochs": 1, "label_key": "label", **changed})


def sizes(dataset):
    return [len(label) for _, label in dataset]


def test_batches_hold_features_and_label(reader, files):
    features, label = next(iter(reader.dataset(files, options())))
    assert set(features) == {"size_xf", "weight_xf", "colour_xf"}
    assert label.shape == (100,)
    assert all(values.shape == (100,) for values in features.values())


def test_without_a_label_key_the_label_is_a_feature(reader, files):
    assert "label" in next(iter(reader.dataset(files, options(label_key=None))))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, [100] * 10 + [3], id="last batch is kept"),
        pytest.param({"drop_final_batch": True}, [100] * 10, id="last batch is dropped"),
        pytest.param({"num_epochs": 2}, [100] * 20 + [6], id="batches span epochs"),
        pytest.param({"batch_size": 5_000}, [1_003], id="one batch"),
    ],
)
def test_batch_sizes_are_tfxs(reader, files, changed, expected):
    dataset = reader.dataset(files, options(**changed))
    assert sizes(dataset) == expected
    assert int(dataset.cardinality()) == len(expected)


def test_no_number_of_epochs_repeats_for_ever(reader, files):
    dataset = reader.dataset(files, options(num_epochs=None))
    assert len(sizes(dataset.take(35))) == 35


def test_features_are_those_of_the_rows(reader, files, prepared):
    (features, label), *_ = reader.dataset(files, options(shuffle=False, batch_size=ROWS))
    table = small_examples.table(ROWS)
    np.testing.assert_array_equal(label, table["label"])
    np.testing.assert_allclose(features["weight_xf"], table["weight"].fill_null(0))
    words = tft.TFTransformOutput(prepared[2])
    known = [word.decode() for word in words.vocabulary_by_name(_vocabulary(prepared))]
    assert [known[index] if index < 3 else None for index in features["colour_xf"].numpy()] == table[
        "colour"
    ].to_pylist()


def _vocabulary(prepared):
    return next(iter(tf.io.gfile.listdir(f"{prepared[2]}/transform_fn/assets")))


def test_shuffling_changes_the_order_and_no_row(reader, files):
    plain, shuffled = (
        np.concatenate([features["size_xf"] for features, _ in reader.dataset(files, options(shuffle=shuffle))])
        for shuffle in (False, True)
    )
    assert not np.array_equal(plain, shuffled)
    np.testing.assert_array_equal(np.sort(plain), np.sort(shuffled))


def test_every_epoch_has_another_order_and_every_run_the_same(reader, files):
    def orders():
        dataset = reader.dataset(files, options(shuffle_seed=4))
        return [np.concatenate([features["size_xf"] for features, _ in dataset]) for _ in range(2)]

    (first, second), again = orders(), orders()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal([first, second], again)


def test_the_raw_schema_yields_raw_features(reader, files, prepared):
    schema = batches.read_schema(prepared[1])
    features, label = next(iter(reader.dataset(files, options(shuffle=False), schema)))
    assert isinstance(features["weight"], tf.SparseTensor)
    assert features["size"].shape == label.shape == (100, 1)
    assert len(features["weight"].values) == 100 - small_examples.table(ROWS)["weight"][:100].null_count


def test_the_transformed_schema_yields_transformed_features(reader, files, prepared):
    schema = tft.TFTransformOutput(prepared[2]).transformed_metadata.schema
    features, _ = next(iter(reader.dataset(files, options(), schema)))
    assert "size_xf" in features


def test_another_schema_is_refused(reader, files):
    schema = tft.DatasetMetadata.from_feature_spec({"other": tf.io.FixedLenFeature([], tf.float32)}).schema
    with pytest.raises(ConfigurationError, match="other"):
        reader.dataset(files, options(), schema)


def test_a_label_that_is_no_feature_is_refused(reader, files):
    with pytest.raises(ConfigurationError, match="label_key 'tips'"):
        reader.dataset(files, options(label_key="tips"))


def test_a_pattern_names_its_files(reader, prepared):
    assert sum(sizes(reader.dataset(f"{prepared[0]}/Split-train/*", options()))) == ROWS


def test_no_rows_are_refused(reader, tmp_path):
    empty = small_examples.write(tmp_path, small_examples.table(0), shards=1)
    with pytest.raises(DataError, match="no rows"):
        reader.dataset(layouts.split_files(empty, "train"), options())


def test_record_batches_are_lists_of_at_most_one_value(reader, files):
    wanted = RecordBatchesOptions(batch_size=200, drop_final_batch=False, num_epochs=1)
    found = list(reader.record_batches(files, wanted))
    assert sum(batch.num_rows for batch in found) == ROWS
    assert found[0].to_pydict()["size"][0] == [pytest.approx(float(small_examples.table(ROWS)["size"][0].as_py()))]


@hypothesis.settings(max_examples=tries(8, 25), deadline=None)
@hypothesis.given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 3), st.integers(1, 90))
def test_a_shuffled_epoch_has_every_row_once(tmp_path_factory, rows, row_group_size, shards, block_rows):
    root = tmp_path_factory.mktemp("blocks")
    examples = small_examples.write(root, small_examples.table(rows), shards=shards, row_group_size=row_group_size)
    read = shuffling.Blocks(layouts.split_files(examples, "train"), ["id"], seed=1, rows=block_rows)
    found = list(read)
    counted = collections.Counter(name for block in found for name in block.column(0).to_pylist())
    assert counted == collections.Counter(f"row-{index}" for index in range(rows))
    assert max(block.num_rows for block in found) <= block_rows


def test_memory_is_bounded_by_the_block(tmp_path, monkeypatch):
    """A block of a tenth of the rows mixes several row groups, and is never larger."""
    examples = small_examples.write(tmp_path, small_examples.table(4_000), row_group_size=200)
    monkeypatch.setattr(shuffling, "BLOCK_VALUES", 400)
    drawn = []
    monkeypatch.setattr(
        shuffling.Blocks,
        "_draw",
        lambda self, *args, real=shuffling.Blocks._draw: drawn.append(real(self, *args)) or drawn[-1],
    )
    found = list(shuffling.Blocks(layouts.split_files(examples, "train"), ["id"], seed=1, rows=50))
    assert sum(block.num_rows for block in found) == 4_000
    assert max(sum(piece.num_rows for piece in pieces) for pieces in drawn) <= 400
    assert len(drawn[0]) == shuffling.INTERLEAVED


VALUES = {
    tf.float32: (pa.float32(), st.floats(width=32, allow_nan=False)),
    tf.int64: (pa.int64(), st.integers(-(2**62), 2**62)),
    tf.string: (pa.string(), st.text(min_size=1, max_size=5)),
}


@pytest.mark.parametrize("dtype", VALUES, ids=lambda dtype: dtype.name)
@hypothesis.settings(max_examples=tries(20, 50), deadline=None)
@hypothesis.given(st.data())
def test_values_and_nulls_survive_the_way_into_tensors(dtype, data):
    arrow_type, strategy = VALUES[dtype]
    values = data.draw(st.lists(st.none() | strategy, max_size=20))
    batch = pa.RecordBatch.from_arrays([pa.array(values, arrow_type)], ["x"])
    specs = {"x": tf.io.VarLenFeature(dtype)}
    array = batches.to_arrays(batch, {"x": dtype})["x"]
    sparse = batches.to_features({"x": tf.constant(array, dtype)}, specs)["x"]
    found = dict(zip((int(row) for row, _ in sparse.indices), sparse.values.numpy().tolist(), strict=True))
    present = {row: value for row, value in enumerate(values) if value is not None}
    assert found == {row: value.encode() if dtype == tf.string else value for row, value in present.items()}
    # The same rows as tf.Examples parse into the same tensor.
    if values:
        parsed = tf.io.parse_example(batches.to_examples(batch), specs)["x"]
        np.testing.assert_array_equal(parsed.values, sparse.values)
        np.testing.assert_array_equal(parsed.indices, sparse.indices)


def test_missing_values_are_the_documented_ones():
    nulls = [pa.array([None], type=arrow_type) for arrow_type, _ in VALUES.values()]
    batch = pa.RecordBatch.from_arrays(nulls, [dtype.name for dtype in VALUES])
    found = batches.to_arrays(batch, {dtype.name: dtype for dtype in VALUES})
    assert math.isnan(found["float32"][0])
    assert found["int64"][0] == -(2**63)
    assert found["string"][0] == b""


@pytest.mark.parametrize("rank", [1, 2])
def test_signature_inputs_have_the_signatures_rank_and_type(rank):
    spec = tf.TensorSpec([None] * rank if rank == 1 else [None, 1], tf.float32, "count")
    batch = small_examples.table(7).combine_chunks().to_batches()[0]
    tensor = batches.to_signature_inputs(batch, {"count": spec})["count"]
    assert tensor.dtype == tf.float32
    assert tensor.shape == ((7,) if rank == 1 else (7, 1))


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="no column height"):
        batches.to_arrays(small_examples.table(3).to_batches()[0], {"height": tf.float32})


def test_a_column_of_another_type_is_named():
    with pytest.raises(DataError, match="column colour is string"):
        batches.to_arrays(small_examples.table(30).to_batches()[0], {"colour": tf.float32})


def test_features_of_an_environment_leave_out_the_others(prepared):
    assert set(batches.feature_specs(batches.read_schema(prepared[1]), "SERVING")) == {
        "size", "weight", "count", "colour",
    }  # fmt: skip
