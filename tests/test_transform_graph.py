"""Transform: TFT's graph from the train split, the same in training and serving; mistakes are one message."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

import small_project
from components import artifacts, batches
from components.errors import ConfigurationError, DataError
from components.transform import work
from components.transform_graph import TransformGraph


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_project.make(tmp_path_factory.mktemp("small")).analyze()


def transformed(small, split):
    """Applies the graph as the trainer does."""
    specs = batches.feature_specs(batches.read_schema(f"{small.folder}/schema.pbtxt"))
    [batch] = artifacts.iter_batches(artifacts.split_files(small.examples, split))
    arrays = batches.to_arrays(batch, {name: spec.dtype for name, spec in specs.items()})
    columns = {name: tf.constant(values, specs[name].dtype) for name, values in arrays.items()}
    return TransformGraph(tft.TFTransformOutput(small.graph))(batches.to_features(columns, specs))


def test_the_graph_opens_with_tft_and_knows_the_train_split_only(small):
    train = np.array(small.columns("train")["size"], np.float64)
    expected = (np.array(small.columns("eval")["size"]) - train.mean()) / train.std()
    np.testing.assert_allclose(transformed(small, "eval")["size_z"][:, 0], expected, atol=1e-4)
    assert tft.TFTransformOutput(small.graph).transformed_feature_spec().keys() == {
        "size_z", "weight", "colour_id", "good",
    }  # fmt: skip


def test_missing_values_reach_the_preprocessing_fn_as_missing(small):
    expected = [0.0 if value is None else value for value in small.columns("eval")["weight"]]
    np.testing.assert_allclose(transformed(small, "eval")["weight"][:, 0], expected)


def test_materialised_rows_equal_the_graph_applied(small, tmp_path):
    work.write_examples(small.transform_request(), small.graph, str(tmp_path), materialize=True)
    [file] = artifacts.split_files(tmp_path, "eval")
    [batch] = artifacts.iter_batches([file])
    stored = np.array(batch.column("size_z").to_pylist(), np.float32).reshape(-1)
    np.testing.assert_allclose(stored, transformed(small, "eval")["size_z"][:, 0], atol=1e-6)


def test_not_materialised_leaves_a_folder_that_says_so(small, tmp_path):
    work.write_examples(small.transform_request(), small.graph, str(tmp_path / "out"), materialize=False)
    assert [path.read_text() for path in (tmp_path / "out").iterdir()]


def test_analysing_again_gives_the_same_metadata(small, tmp_path):
    request = small.transform_request()
    assert work.analyze(request, str(tmp_path / "a")) == work.analyze(request, str(tmp_path / "b"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("return {'x': inputs['shape']}", "reads column 'shape', which is not in the schema", id="column"),
        pytest.param("return {}", "yields no features", id="nothing"),
        pytest.param("raise ValueError('my mistake')", "my mistake", id="failure"),
        pytest.param(
            "import tensorflow as tf\n    return {'x': tf.constant([1.0])}", "depend on no column", id="constant"
        ),
    ],
)
def test_a_preprocessing_fn_that_does_not_fit_is_named(small, tmp_path, body, said):
    request = small.transform_request(f"def preprocessing_fn(inputs):\n    {body}\n", name=f"bad{abs(hash(body))}")
    with pytest.raises(ConfigurationError, match=said):
        work.analyze(request, str(tmp_path / "graph"))


def test_a_module_without_preprocessing_fn_is_named(small, tmp_path):
    with pytest.raises(ConfigurationError, match="has no function preprocessing_fn"):
        work.analyze(small.transform_request("x = 1\n", name="empty"), str(tmp_path / "graph"))


def test_zero_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="has no rows"):
        work.analyze(small_project.make(tmp_path, rows=0).transform_request(), str(tmp_path / "graph"))
