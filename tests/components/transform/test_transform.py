"""The transform component: real TFT over real Parquet, and what it says to a user's mistakes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft

import small_examples
from kfp_ct.base.errors import ConfigurationError, DataError
from kfp_ct.components.transform import work
from kfp_ct.data import batches, layouts, reading
from kfp_ct.data.transform_graph import TransformGraph

ROWS = 2_000


@pytest.fixture(scope="module")
def prepared(shared):
    return small_examples.shared_graph(shared, ROWS)


def request_for(tmp_path, source, rows=20):
    examples = small_examples.write(tmp_path / "examples", small_examples.table(rows))
    schema = small_examples.write_text(tmp_path / "schema.pbtxt", small_examples.SCHEMA)
    return work.TransformRequest(examples, schema, small_examples.write_text(tmp_path / "features.py", source))


def apply(graph_path, schema_path, table):
    specs = batches.feature_specs(batches.read_schema(schema_path))
    batch = table.combine_chunks().to_batches()[0]
    arrays = batches.to_arrays(batch, {name: spec.dtype for name, spec in specs.items()})
    graph = TransformGraph(tft.TFTransformOutput(graph_path))
    return graph(batches.to_features({name: tf.constant(values) for name, values in arrays.items()}, specs))


def test_tft_opens_what_is_written(prepared):
    output = tft.TFTransformOutput(prepared[2])
    assert set(output.transformed_feature_spec()) == {"size_xf", "weight_xf", "colour_xf", "label"}
    assert sorted(output.vocabulary_by_name(next(iter(Path(prepared[2]).glob("transform_fn/assets/*"))).name)) == [
        b"blue",
        b"green",
        b"red",
    ]


def test_raw_metadata_is_the_whole_schema_with_optional_features_sparse(prepared):
    spec = tft.TFTransformOutput(prepared[2]).raw_feature_spec()
    assert isinstance(spec["weight"], tf.io.VarLenFeature)
    assert isinstance(spec["size"], tf.io.FixedLenFeature)
    assert list(spec["size"].shape) == [1]
    assert "id" in spec


def test_analysis_is_over_the_train_split_alone(prepared):
    train = small_examples.table(ROWS)
    scored = apply(prepared[2], prepared[1], train)["size_xf"].numpy()
    size = train["size"].to_numpy()
    np.testing.assert_allclose(scored, (size - size.mean()) / size.std(), atol=1e-4)


def test_keras_layer_of_tft_gives_the_same(prepared):
    table = small_examples.table(50, seed=3)
    specs = batches.feature_specs(batches.read_schema(prepared[1]))
    examples = batches.to_examples(table.combine_chunks().to_batches()[0])
    layer = tft.TFTransformOutput(prepared[2]).transform_features_layer()
    expected = layer(tf.io.parse_example(examples, specs))
    for name, values in apply(prepared[2], prepared[1], table).items():
        np.testing.assert_array_equal(values.numpy(), expected[name].numpy(), err_msg=name)


def test_summary_names_columns_read_and_features_made(prepared):
    summary = json.loads((Path(prepared[2]) / "summary.json").read_text())
    assert summary["rows"] == ROWS
    assert summary["columns"] == ["colour", "label", "size", "weight"]
    assert summary["features"]["size_xf"] == {"dtype": "float32", "shape": []}


def test_analysis_again_gives_the_same_metadata(prepared, tmp_path):
    folder = Path(prepared[1]).parent
    request = work.TransformRequest(prepared[0], prepared[1], str(folder / "small_features.py"))
    first, second = json.loads((folder / "said.json").read_text()), work.analyze(request, str(tmp_path / "again"))
    assert first == second == {"rows": ROWS, "columns": 4, "features": 4}
    assert json.dumps(second)


def test_beam_arguments_choose_the_runner(tmp_path, prepared):
    module = str(Path(prepared[1]).parent / "small_features.py")
    request = work.TransformRequest(prepared[0], prepared[1], module, ["--runner=BundleBasedDirectRunner"])
    assert work.analyze(request, str(tmp_path / "graph"))["features"] == 4


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("return {'x': inputs['lenght']}", "lenght", id="column not in the schema"),
        pytest.param("return {}", "yields no features", id="no features"),
        pytest.param("return None", "yields no features", id="nothing returned"),
        pytest.param("return {'x': inputs['size'] + inputs['colour']}", "line 3", id="operation that cannot be"),
        pytest.param("raise ValueError('not today')", "not today", id="exception"),
        pytest.param("return {'x': tf.constant([1.0])}", "depend on no column", id="no column used"),
    ],
)
def test_a_mistake_in_preprocessing_fn_is_named(tmp_path, body, said):
    request = request_for(tmp_path, f"import tensorflow as tf\ndef preprocessing_fn(inputs):\n    {body}\n")
    with pytest.raises(ConfigurationError) as caught:
        work.analyze(request, str(tmp_path / "graph"))
    message = str(caught.value)
    assert said in message
    assert "preprocessing_fn" in message.splitlines()[0]
    assert "expected:" in message


def test_a_module_without_preprocessing_fn_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="has no function preprocessing_fn"):
        work.analyze(request_for(tmp_path, "x = 1\n"), str(tmp_path / "graph"))


def test_zero_train_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        work.analyze(request_for(tmp_path, small_examples.PREPROCESSING, rows=0), str(tmp_path / "graph"))


def test_schema_that_is_none_is_refused(tmp_path):
    request = request_for(tmp_path, small_examples.PREPROCESSING)
    Path(request.schema_file).write_text("no schema")
    with pytest.raises(ConfigurationError, match="cannot be read as a schema"):
        work.analyze(request, str(tmp_path / "graph"))


def test_not_materialised_is_an_empty_dataset(prepared, tmp_path):
    request = work.TransformRequest(prepared[0], prepared[1], "")
    work.write_examples(request, prepared[2], str(tmp_path / "out"), materialize=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [work.NOT_MATERIALIZED]


def test_materialised_rows_are_those_of_the_graph(prepared, tmp_path):
    out = str(tmp_path / "out")
    work.write_examples(work.TransformRequest(prepared[0], prepared[1], ""), prepared[2], out, materialize=True)
    manifest = layouts.read_manifest(out)
    assert {split.name: split.rows for split in manifest.splits} == {"train": ROWS, "eval": 100}
    assert manifest.columns == {"colour_xf": "int", "label": "int", "size_xf": "float", "weight_xf": "float"}
    for split, rows in (("train", small_examples.table(ROWS)), ("eval", small_examples.table(100, seed=9))):
        written = pyarrow.parquet.ParquetDataset(layouts.split_files(out, split)).read()
        for name, values in apply(prepared[2], prepared[1], rows).items():
            got = np.concatenate(written[name].to_pylist())
            np.testing.assert_allclose(got, values.numpy(), err_msg=f"{split} {name}")


def test_beam_materialises_the_same_rows(prepared, tmp_path):
    tables = []
    for name, arguments in (("memory", []), ("beam", ["--direct_num_workers=1"])):
        out = str(tmp_path / name)
        work.write_examples(
            work.TransformRequest(prepared[0], prepared[1], "", arguments), prepared[2], out, materialize=True
        )
        tables.append(pyarrow.parquet.ParquetDataset(layouts.split_files(out, "train")).read())
    assert tables[0].equals(tables[1])


def test_an_eval_split_of_no_rows_is_materialised_as_none(prepared, tmp_path):
    examples = tmp_path / "examples"
    small_examples.write(examples, small_examples.table(50), small_examples.table(0), shards=1)
    work.write_examples(work.TransformRequest(str(examples), prepared[1], ""), prepared[2], str(tmp_path / "out"), True)
    split = layouts.read_manifest(tmp_path / "out").split("eval")
    assert (split.rows, split.files) == (0, [])
    assert list(reading.iter_batches(layouts.split_files(tmp_path / "out", "eval"))) == []


@pytest.mark.slow
def test_hundreds_of_columns_are_transformed(tmp_path):
    names = [f"c{index:04}" for index in range(500)]
    values = np.random.default_rng(0).normal(5, 2, (300, len(names))).astype("float32")
    table = pa.table({**dict(zip(names, values.T, strict=True)), "label": np.arange(300) % 2})
    examples = tmp_path / "examples"
    small_examples.write(examples, table, table.slice(0, 20), shards=1)
    one = "presence { min_fraction: 1.0 } shape { dim { size: 1 } } }"
    kinds = [*((name, "FLOAT") for name in names), ("label", "INT")]
    schema = small_examples.write_text(
        tmp_path / "schema.pbtxt", "\n".join(f'feature {{ name: "{name}" type: {kind} {one}' for name, kind in kinds)
    )
    module = small_examples.write_text(tmp_path / "features.py", """
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    numbers = tf.concat([inputs[f"c{index:04}"] for index in range(500)], axis=1)
    return {"numbers": tft.scale_to_z_score(numbers, elementwise=True), "label": inputs["label"]}
""")  # fmt: skip
    request, graph = work.TransformRequest(str(examples), schema, module), str(tmp_path / "graph")
    assert work.analyze(request, graph) == {"rows": 300, "columns": 501, "features": 2}
    work.write_examples(request, graph, str(tmp_path / "out"), materialize=True)
    written = pyarrow.parquet.ParquetDataset(layouts.split_files(tmp_path / "out", "eval")).read()
    expected = (values[:20] - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(np.stack(written["numbers"].to_pylist()), expected, atol=1e-3)


OPTIONS = """
import tensorflow_transform as tft
from tfx.components.transform import stats_options_util


def preprocessing_fn(inputs, custom_config):
    return {"scaled": tft.scale_to_0_1(inputs["size"]) * custom_config["factor"]}


def stats_options_updater_fn(stats_type, stats_options):
    before = stats_type == stats_options_util.StatsType.PRE_TRANSFORM
    assert [feature.name for feature in stats_options.schema.feature] == (SCHEMA if before else ["scaled"])
    stats_options.feature_allowlist = ["size"] if before else None
    stats_options.num_histogram_buckets = 4
    return stats_options
"""


def test_the_module_says_what_statistics_before_and_after_are_like(tmp_path):
    schema = small_examples.SCHEMA
    names = [line.split('"')[1] for line in schema.splitlines() if line.strip().startswith("feature")]
    request = request_for(tmp_path, OPTIONS.replace("SCHEMA", repr(names)), rows=40)
    options = {"custom_config": {"factor": 10.0}, "analyze": ["train", "eval"], "statistics": True}
    request = dataclasses.replace(request, options=options)
    graph = str(tmp_path / "graph")
    work.analyze(request, graph)
    work.write_statistics(request, graph)
    output = tft.TFTransformOutput(graph)
    before, after = (
        tfdv.load_stats_binary(path).datasets[0]
        for path in (output.pre_transform_statistics_path, output.post_transform_statistics_path)
    )
    rows = sum(split.rows for split in layouts.read_manifest(request.examples_path).splits)
    assert (before.num_examples, after.num_examples) == (rows, rows)
    assert [feature.path.step[0] for feature in before.features] == ["size"]
    (scaled,) = after.features
    assert scaled.num_stats.max == pytest.approx(10.0)
    assert len(scaled.num_stats.histograms[0].buckets) == 4


def test_without_the_option_no_statistics_are_written(prepared):
    assert not list(Path(prepared[2]).glob("*_transform_feature_stats"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"analyze": ["test"]}, "names the split 'test'", id="a split there is none of"),
        pytest.param({"analyse": ["train"]}, "analyse", id="an option there is none of"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path, options, message):
    request = dataclasses.replace(request_for(tmp_path, OPTIONS), options=options)
    with pytest.raises(ConfigurationError, match=message):
        work.analyze(request, str(tmp_path / "graph"))


def test_an_updater_that_returns_something_else_is_told(tmp_path):
    source = "def preprocessing_fn(inputs):\n    return {'x': inputs['size']}\n"
    request = request_for(tmp_path, source + "\n\ndef stats_options_updater_fn(stats_type, stats_options):\n    pass\n")
    request = dataclasses.replace(request, options={"statistics": True})
    work.analyze(request, str(tmp_path / "graph"))
    with pytest.raises(ConfigurationError, match="returns NoneType"):
        work.write_statistics(request, str(tmp_path / "graph"))


@pytest.mark.parametrize("stored", [pa.string(), pa.int64(), pa.float32()], ids=str)
def test_a_column_without_any_value_is_of_the_schema_s_type(tmp_path, stored):
    request = request_for(
        tmp_path,
        "import tensorflow as tf\n\n\ndef preprocessing_fn(inputs):\n"
        "    rows = tf.shape(inputs['size'])[0]\n"
        "    filled = tf.sparse.to_dense(tf.sparse.reset_shape(inputs['count'], [rows, 1]))\n"
        "    filled = tf.reshape(filled, [-1, 1])\n"
        "    assert filled.dtype == tf.int64\n    return {'x': filled, 'size': inputs['size']}\n",
    )
    for file in Path(request.examples_path).rglob("*.parquet"):
        table = pa.parquet.read_table(file)
        place = table.schema.get_field_index("count")
        pa.parquet.write_table(table.set_column(place, "count", pa.nulls(table.num_rows, stored)), file)
    work.analyze(request, str(tmp_path / "graph"))
    work.write_examples(request, str(tmp_path / "graph"), str(tmp_path / "transformed"), materialize=True)
    written = pa.parquet.read_table(layouts.split_files(tmp_path / "transformed", "eval")[0])
    assert set(written["x"].combine_chunks().flatten().to_pylist()) == {0}
