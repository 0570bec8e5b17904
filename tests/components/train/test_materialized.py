"""Transformed rows as gzipped TFRecord, read by modules from before TFX's data accessor, and through it."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

import small_examples
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.train import work
from kfp_ct.components.transform import work as transform
from kfp_ct.data import batches, layouts
from kfp_ct.data.training_data import Reader
from training_modules import MODULE_OF_TFRECORD

ROWS = 2_000


@pytest.fixture(scope="module")
def prepared(shared):
    return small_examples.shared_graph(shared, ROWS)


@pytest.fixture(scope="module")
def transformed(prepared, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("transformed"))
    request = transform.TransformRequest(prepared[0], prepared[1], "", format="tfrecord")
    transform.write_examples(request, prepared[2], folder, materialize=True)
    return folder


def test_tf_data_reads_the_rows_of_the_graph_by_tfts_feature_spec(prepared, transformed):
    spec = tft.TFTransformOutput(prepared[2]).transformed_feature_spec()
    files = layouts.split_files(transformed, "train")
    assert all(file.endswith(".gz") for file in files)
    records = list(tf.data.TFRecordDataset(files, "GZIP"))
    manifest = layouts.read_manifest(transformed)
    assert (manifest.format, manifest.split("train").rows, len(records)) == ("tfrecord", ROWS, ROWS)
    features = tf.io.parse_example(records, spec)
    assert sorted(features) == ["colour_xf", "label", "size_xf", "weight_xf"]
    sizes = small_examples.table(ROWS)["size"].to_numpy()
    expected = (sizes - sizes.mean()) / sizes.std()
    np.testing.assert_allclose(features["size_xf"].numpy().ravel(), expected, atol=1e-3)


def train(prepared, transformed, tmp_path):
    module = small_examples.write_text(tmp_path / "before_the_accessor.py", MODULE_OF_TFRECORD)
    steps = {"train_steps": 60, "eval_steps": 2}
    request = work.TrainingRequest(*(prepared[n] for n in (0, 2, 1)), "", module, steps, transformed_path=transformed)
    return work.train(request, str(tmp_path / "model"), str(tmp_path / "run"))


def test_a_module_that_reads_train_files_itself_is_trained(prepared, transformed, tmp_path):
    assert train(prepared, transformed, tmp_path)["rows"] == ROWS
    table = small_examples.table(500, seed=5)
    examples = batches.to_examples(table.drop(["label"]).combine_chunks().to_batches()[0])
    model = tf.saved_model.load(str(tmp_path / "model/Format-Serving"))
    outputs = model.signatures["serving_default"](examples=tf.constant(examples))
    late = next(iter(outputs.values())).numpy()[:, 0] > 0.5
    assert np.mean(late == table["label"].to_numpy()) > 0.8


def reader(prepared, transformed):
    return Reader(batches.read_schema(prepared[1]), prepared[2], transformed)


def test_the_accessor_gives_the_same_rows_of_both(prepared, transformed):
    options = tfxio.TensorFlowDatasetOptions(batch_size=500, num_epochs=1, shuffle=False, label_key="label")
    found = []
    for root in (prepared[0], transformed):
        dataset = reader(prepared, transformed).dataset(layouts.split_files(root, "train"), options)
        parts = [(features["size_xf"].numpy().ravel(), label.numpy().ravel()) for features, label in dataset]
        found.append([np.concatenate(column) for column in zip(*parts, strict=True)])
    orders = [np.argsort(sizes, kind="stable") for sizes, _ in found]
    np.testing.assert_allclose(*(sizes[order] for (sizes, _), order in zip(found, orders, strict=True)), rtol=1e-6)
    assert sum(found[0][1]) == sum(found[1][1])


def test_raw_rows_of_transformed_files_are_refused(prepared, transformed):
    files, both = layouts.split_files(transformed, "train"), reader(prepared, transformed)
    options = tfxio.TensorFlowDatasetOptions(batch_size=500, num_epochs=1)
    with pytest.raises(ConfigurationError, match="asks for raw rows of files that hold transformed ones"):
        both.dataset(files, options, both.schema)
    with pytest.raises(ConfigurationError, match="asks for raw rows of files that hold transformed ones"):
        next(both.record_batches(files, tfxio.RecordBatchesOptions(batch_size=500, num_epochs=1)))
