"""What training reads of data nobody would write: the gate, the transform graph, the reader, the registry."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tfx_bsl.public import tfxio

import release_artifacts
import small_examples
from any_tables import NAMES, TEXTS, dataset, described, tables
from depth import tries
from kfp_ct.base import setting_problems
from kfp_ct.base.errors import AnomaliesFoundError, ConfigurationError
from kfp_ct.components.register import work as register
from kfp_ct.components.transform import work as transform
from kfp_ct.components.validate_data import work as validate_data
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import batches, layouts
from kfp_ct.data.training_data import Reader
from kfp_ct.models import registry, registry_mlflow

# Takes whatever comes, as a person's function would that knows the types only.
FEATURES = """
import tensorflow as tf
import tensorflow_transform as tft

def _dense(x):
    default = "" if x.dtype == tf.string else 0
    if isinstance(x, tf.SparseTensor):
        x = tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), default)
    return tf.reshape(x, [-1])

def _feature(x):
    if x.dtype == tf.string:
        return tft.compute_and_apply_vocabulary(x, num_oov_buckets=1)
    return tft.scale_to_z_score(tf.cast(x, tf.float32))

def preprocessing_fn(inputs):
    return {name: _feature(_dense(x)) for name, x in inputs.items()}
"""
WORST = pa.table({
    "größe 🎈": pa.array([2**63 - 1, None, -(2**63)], pa.int64()),
    "a/b:0": pa.array([float("nan"), float("inf"), 3.4e38], pa.float32()),
    "a b": pa.array([None] * 3, pa.float32()),
    "a_b": pa.array(["", "x\ny", "\u202e"]),
    "\n": pa.array([None] * 3, pa.string()),
    "x" * 300: pa.array([0, 0, 0], pa.int64()),
})  # fmt: skip


def options(rows, **more):
    return tfxio.TensorFlowDatasetOptions(rows, num_epochs=1, **more)


@pytest.mark.slow
@settings(max_examples=tries(2, 4), deadline=None)
@given(table=tables(min_rows=1))
@example(table=WORST)
@example(table=WORST.slice(0, 1))
def test_any_rows_are_transformed_alike_on_disk_and_as_training_reads_them(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("any")
    _, contract = described(folder, table)
    examples, schema_file, graph = dataset(folder, table), f"{contract}/schema.pbtxt", str(folder / "graph")
    request = transform.TransformRequest(
        examples, schema_file, small_examples.write_text(folder / "features.py", FEATURES)
    )

    metadata = transform.analyze(request, graph)
    transform.write_examples(request, graph, str(folder / "written"), materialize=True)

    assert metadata == {"rows": len(table), "columns": table.num_columns, "features": table.num_columns}
    written = pa.parquet.read_table(layouts.split_files(str(folder / "written"), "train")[0])
    reader = Reader(batches.read_schema(schema_file), graph)
    read = next(iter(reader.dataset(layouts.split_files(examples, "train"), options(len(table), shuffle=False))))
    assert sorted(read) == sorted(table.column_names)
    for name, values in read.items():
        on_disk = [value[0] for value in written[name].to_pylist()]
        np.testing.assert_array_equal(values.numpy(), np.array(on_disk, values.dtype.as_numpy_dtype), name)


@settings(max_examples=tries(6, 15), deadline=None)
@given(table=tables(min_rows=1), size=st.integers(1, 7), seed=st.none() | st.integers(0, 2**31))
@example(table=WORST, size=2, seed=1)
def test_a_reader_gives_every_value_once(reader_graph, tmp_path_factory, table, size, seed):
    folder = tmp_path_factory.mktemp("any")
    _, contract = described(folder, table)
    schema = batches.read_schema(f"{contract}/schema.pbtxt")
    files = layouts.split_files(dataset(folder, table), "train")

    read = Reader(schema, reader_graph).dataset(
        files, options(size, shuffle=seed is not None, shuffle_seed=seed), schema
    )

    found = {name: [] for name in table.column_names}
    for batch in read:
        for name, values in batch.items():
            flat = values.values if isinstance(values, tf.SparseTensor) else tf.reshape(values, [-1])
            found[name] += flat.numpy().tolist()
    for name in table.column_names:
        assert sorted(map(repr, found[name])) == sorted(map(repr, present(table[name], schema, name))), name


def present(column, schema, name):
    """The values that a tensor has of a column: where one may be missing, what stands for that is missing as well."""
    spec = batches.feature_specs(schema)[name]
    values = column.cast(pa.binary()) if pa.types.is_string(column.type) else column
    known = [value for value in values.to_pylist() if value is not None]
    if isinstance(spec, tf.io.FixedLenFeature):
        return known
    return [value for value in known if value == value and value != batches.MISSING[spec.dtype]]


@pytest.fixture(scope="module")
def reader_graph(shared):
    """A graph of other columns: raw ones are read without it."""
    return small_examples.shared_graph(shared)[2]


@settings(max_examples=tries(6, 15), deadline=None)
@given(
    table=tables(min_rows=1),
    other=tables(min_rows=1),
    label=st.just("") | NAMES,
    deny=st.lists(TEXTS, max_size=2).map(tuple),
)
@example(table=WORST, other=WORST, label="a/b:0", deny=("größe*",))
@example(table=WORST, other=WORST.slice(0, 1), label="", deny=())
def test_any_rows_pass_or_stop_with_an_account(tmp_path_factory, table, other, label, deny):
    folder = tmp_path_factory.mktemp("any")
    (stats, _), (_, contract) = described(folder, table), described(folder, other)
    inputs = validate_data.Inputs(stats, contract)
    outputs = validate_data.Outputs(str(folder / "anomalies"), str(folder / "anomalies.html"))
    stopped = None
    try:
        rules = setting_problems.read(Parameters, {"label": label, "deny": deny}, "")
        validate_data.validate(inputs, outputs, rules)
    except ConfigurationError:
        assert any(not pattern.strip() for pattern in deny)
        return
    except AnomaliesFoundError as error:
        stopped = error
    report = json.loads(Path(outputs.anomalies_path, "summary.json").read_text(), parse_constant=pytest.fail)
    assert bool(report["anomalies"]) == (stopped is not None)
    assert Path(outputs.view_path).is_file()
    if set(table.column_names) != set(other.column_names):
        assert stopped is not None, "columns came or went unseen"


@pytest.fixture(scope="module")
def registry_made(tmp_path_factory):
    path = tmp_path_factory.mktemp("new") / "registry.db"
    registry_mlflow.open_client(f"sqlite:///{path}")
    return path


LINEAGE = st.dictionaries(
    st.text(max_size=300), st.none() | st.booleans() | st.integers() | st.text(max_size=20), max_size=3
)


@pytest.mark.filterwarnings("ignore::UserWarning:mlflow", "ignore::sqlalchemy.exc.SAWarning")
@settings(max_examples=tries(8, 25), deadline=None)
@given(name=st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True), lineage=LINEAGE)
@example(name="x" * 129, lineage={})
@example(name="flights\n", lineage={})
@example(name="CON.", lineage={"": "", "..": "x" * 9_000, "a!": 1, "a?": 2, "größe 🎈": [float("inf")]})
def test_a_model_of_any_name_is_registered_whole_or_refused(registry_made, tmp_path_factory, name, lineage):
    folder = tmp_path_factory.mktemp("any")
    database = folder / "registry" / "registry.db"
    database.parent.mkdir()
    shutil.copy(registry_made, database)
    candidate = release_artifacts.make_run(folder / "run", "a model").candidate()
    candidate.lineage.update(lineage)
    try:
        registered = register.register(candidate, f"sqlite:///{database}", name)
    except ConfigurationError as error:
        said = str(error)
        assert sorted(path.name for path in database.parent.iterdir()) == ["registry.db"]
        assert "cannot be a model name" in said
    else:
        version = registry.open_reader(f"sqlite:///{database}").champion(name)
        assert version.number == registered.version == "1"
        assert Path(version.source).parent == database.parent / "models" / name
    assert sorted(path.name for path in folder.iterdir()) == ["registry", "run"]
