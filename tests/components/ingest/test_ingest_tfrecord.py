"""TFRecord of tf.Example in and out: the same rows, whatever they are stored as, in every step."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf

import small_examples
from ingesting import assert_refused, ids, ingest, rows, table
from kfp_ct.base.errors import DataError
from kfp_ct.components.evaluate import scoring
from kfp_ct.components.evaluate.eval_config import Output
from kfp_ct.components.evaluate.tasks import Decoder
from kfp_ct.components.statistics import work as statistics
from kfp_ct.components.train import work as train
from kfp_ct.components.transform import work as transform
from kfp_ct.data import batches, layouts, reading
from kfp_ct.data.shuffling import Blocks, count_rows
from training_modules import MODULE

TFRECORD = {"format": "tfrecord"}
FORMATS = ("parquet", "tfrecord")

OWN_READER = MODULE.replace(
    "def dataset(fn_args, files):",
    """def dataset(fn_args, files):
    assert all(file.endswith(".gz") for file in files), files
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    layer = output.transform_features_layer()
    def parse(records):
        features = layer(tf.io.parse_example(records, output.raw_feature_spec()))
        return features, features.pop("label")
    return tf.data.TFRecordDataset(files, compression_type="GZIP").batch(200).map(parse)

def unused(fn_args, files):""",
)


def example(**features) -> bytes:
    made = tf.train.Example()
    for name, values in features.items():
        feature = made.features.feature[name]
        for value in values:
            kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[type(value)]
            kind.value.append(value)
    return made.SerializeToString()


def write(path, examples, compression: str = "") -> str:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for each in examples:
            writer.write(each)
    return str(path)


def numbered(count: int = 60):
    return [
        example(id=[i], x=[i / 2] if i % 3 else [], s=[f"Zürich {i}".encode() if i % 2 else b""], l=list(range(i % 4)))
        for i in range(count)
    ]


# In


@pytest.mark.parametrize(
    ("name", "compression"),
    [("d.tfrecord", ""), ("d.tfrecord.gz", "GZIP"), ("data_tfrecord-00000-of-00001.gz", "GZIP")],
)
def test_tfrecord_is_a_source(tmp_path, name, compression, monkeypatch):
    monkeypatch.setattr(layouts, "BATCH_ROWS", 25)
    ingest(tmp_path, write(tmp_path / name, numbered(), compression))
    assert rows(tmp_path)[:3] == [
        {"id": 0, "l": None, "s": "", "x": None},
        {"id": 1, "l": [0], "s": "Zürich 1", "x": 0.5},
        {"id": 2, "l": [0, 1], "s": "", "x": 1.0},
    ]
    assert len(rows(tmp_path)) == 60
    assert layouts.read_manifest(tmp_path / "out").columns == {"id": "int", "l": "int[]", "s": "string", "x": "float"}


def test_a_feature_that_comes_late_or_never_is_a_column(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "BATCH_ROWS", 10)
    examples = [example(id=[i], never=[], **({"late": [1.5]} if i > 50 else {})) for i in range(60)]
    ingest(tmp_path, {"uri": write(tmp_path / "d.data", examples), "format": "tfrecord"})
    assert rows(tmp_path)[0] == {"id": 0, "late": None, "never": None}
    assert rows(tmp_path)[-1]["late"] == 1.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no records at all, but text", "cannot be read as TFRecord"),
        (b"", "no rows"),
        ([b"no example"], "other records than tf.Examples"),
        ([example(x=[1]), example(x=[1.5])], "other records than tf.Examples"),
        ([example(id=[1], ID=[1])], "upper and lower case only: ID, id"),
        ([example()], "no features"),
    ],
    ids=["text", "empty", "records", "types", "names", "features"],
)
def test_a_broken_file_is_one_clear_error(tmp_path, content, words):
    path = tmp_path / "d.tfrecord"
    path.write_bytes(content) if isinstance(content, bytes) else write(path, content)
    assert_refused(DataError, words, root=tmp_path, source=str(path))


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    whole = gzip.decompress((tmp_path / write(tmp_path / "d.tfrecord", numbered(), "GZIP")).read_bytes())
    (tmp_path / "d.tfrecord").write_bytes(whole[:-7])
    assert_refused(DataError, "cannot be read as TFRecord", root=tmp_path, source=str(tmp_path / "d.tfrecord"))


def test_files_that_differ_in_a_type_are_refused(tmp_path):
    write(tmp_path / "1.tfrecord", [example(x=[1])])
    write(tmp_path / "2.tfrecord", [example(x=[1.5])])
    assert_refused(
        DataError, "feature x holds float in 2.tfrecord, and int64 before",
        root=tmp_path, source=str(tmp_path / "*.tfrecord"),
    )  # fmt: skip


def test_bytes_that_are_no_text_stay_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "BATCH_ROWS", 25)
    photos = [b"\xff\xd8" if i == 49 else b"text" for i in range(60)]
    several = [[b"\xff", b"a"] if i % 2 else [] for i in range(60)]
    examples = [example(id=[i], photo=[photos[i]], several=several[i], text=["é".encode()]) for i in range(60)]
    ingest(tmp_path, write(tmp_path / "d.tfrecord", examples))
    assert layouts.read_manifest(tmp_path / "out").columns == {
        "id": "int", "photo": "bytes", "several": "bytes[]", "text": "string",
    }  # fmt: skip
    found = rows(tmp_path)
    assert [row["photo"] for row in found] == photos
    assert [row["several"] or [] for row in found] == several


# Out


def test_what_is_written_is_what_tfx_would_read(tmp_path):
    ingest(tmp_path, write(tmp_path / "d.tfrecord", numbered()), options=TFRECORD)
    manifest = layouts.read_manifest(tmp_path / "out")
    assert manifest.format == "tfrecord"
    assert manifest.split("train").files == ["Split-train/data_tfrecord-00000-of-00001.gz"]
    records = tf.data.TFRecordDataset(layouts.split_files(tmp_path / "out", "train"), "GZIP").as_numpy_iterator()
    found = {f["id"].int64_list.value[0]: f for f in (tf.train.Example.FromString(r).features.feature for r in records)}
    assert len(found) == manifest.split("train").rows
    for number, features in found.items():
        assert list(features["x"].float_list.value) == ([number / 2] if number % 3 else [])
        assert features["s"].bytes_list.value[0].decode() == (f"Zürich {number}" if number % 2 else "")
        assert list(features["l"].int64_list.value) == list(range(number % 4))


def test_rows_survive_the_way_through_tfrecord(tmp_path):
    sql = """SELECT i AS id, CASE WHEN i % 3 > 0 THEN i * 100000000000000003 END AS n, (i / 3)::FLOAT AS f,
    CASE WHEN i % 4 > 0 THEN 'é' || i END AS s, [i, i] AS ints, ['a', 'b' || i] AS texts, [0.5::FLOAT] AS floats
    FROM range(50) r(i)"""
    (tmp_path / "d.csv").write_text("a\n1\n")
    assert ingest(tmp_path, str(tmp_path / "d.csv"), sql) == ingest(
        tmp_path, str(tmp_path / "d.csv"), sql, out="again", options=TFRECORD
    )
    for split in ("train", "eval"):
        parquet, tfrecord = table(tmp_path, split), table(tmp_path, split, "again")
        assert parquet.to_pylist() == tfrecord.to_pylist()
        scalars = ["id", "n", "f", "s"]
        assert parquet.select(scalars).schema.types == tfrecord.select(scalars).schema.types


def test_a_null_in_a_list_is_never_silently_zero(tmp_path):
    (tmp_path / "d.csv").write_text("id\n" + "\n".join(map(str, range(50))))
    sql = "SELECT id, [id, NULL] AS l FROM t"
    words = "column l has lists with missing values"
    assert_refused(DataError, words, root=tmp_path, source=str(tmp_path / "d.csv"), sql=sql, options=TFRECORD)


# Every step


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same rows as Parquet and as TFRecord, and the schema."""
    root = tmp_path_factory.mktemp("both")
    # Of more than 1,000 equally frequent ids, TFDV keeps others each time it is asked.
    pyarrow.parquet.write_table(small_examples.table(1_200), root / "rows.parquet")
    for out in FORMATS:
        ingest(root, str(root / "rows.parquet"), out=out, options={"format": out})
    small_examples.write_text(root / "schema.pbtxt", small_examples.SCHEMA)
    small_examples.write_text(root / "small_features.py", small_examples.PREPROCESSING)
    for out in FORMATS:
        request = transform.TransformRequest(
            str(root / out), str(root / "schema.pbtxt"), str(root / "small_features.py")
        )
        transform.analyze(request, str(root / f"graph-{out}"))
    return root


@pytest.mark.parametrize("beam", [[], ["--direct_num_workers=1"]], ids=["in-memory", "beam"])
def test_statistics_are_identical(both, tmp_path, beam):
    for out in FORMATS:
        statistics.write_statistics(str(both / out), str(tmp_path / out), str(tmp_path / "view.html"), beam)
    for split in ("train", "eval"):
        parquet, tfrecord = (tmp_path / out / f"Split-{split}" / "FeatureStats.pb" for out in FORMATS)
        assert parquet.read_bytes() == tfrecord.read_bytes()


def test_transformed_rows_are_identical_and_parquet(both, tmp_path):
    for out in FORMATS:
        request = transform.TransformRequest(
            str(both / out), str(both / "schema.pbtxt"), str(both / "small_features.py")
        )
        transform.write_examples(request, str(both / f"graph-{out}"), str(tmp_path / out), materialize=True)
        assert layouts.read_manifest(tmp_path / out).format == "parquet"
    for split in ("train", "eval"):
        assert table(tmp_path, split, "parquet").equals(table(tmp_path, split, "tfrecord"))


def predictions(both, tmp_path, out: str, module: str) -> np.ndarray:
    path = small_examples.write_text(tmp_path / "small_model.py", module)
    graph = str(both / f"graph-{out}")
    request = train.TrainingRequest(str(both / out), graph, str(both / "schema.pbtxt"), str(tmp_path / "none"), path)
    train.train(request, str(tmp_path / out), str(tmp_path / f"{out}-run"))
    model = tf.saved_model.load(str(tmp_path / out / "Format-Serving")).signatures["serving_default"]
    transformed = np.linspace(-2, 2, 50, dtype=np.float32)
    return model(size_xf=tf.constant(transformed), weight_xf=tf.constant(transformed))["probability"].numpy()


def test_models_trained_on_both_predict_the_same(both, tmp_path):
    first, second = (predictions(both, tmp_path, out, MODULE) for out in FORMATS)
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ran out of data:UserWarning")
def test_a_module_that_reads_tfrecord_itself_is_given_the_files(both, tmp_path):
    assert np.isfinite(predictions(both, tmp_path, "tfrecord", OWN_READER)).all()


class Constant:
    """A model that needs every column, as one that takes serialized tf.Examples does."""

    inputs = ()

    def predict(self, batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        values = [len(example) % 7 / 7 for example in batches.to_examples(batch)]
        return {"": np.array(values, np.float32)[:, None]}


def test_evaluation_scores_the_same(both):
    scored = [
        scoring.predict(layouts.split_files(both / out, "eval"), {"m": Constant()}, ["colour", "label"])
        for out in FORMATS
    ]
    np.testing.assert_array_equal(*(each.predictions["m"][""] for each in scored))
    assert scored[0].columns.column("label").to_pylist() == scored[1].columns.column("label").to_pylist()
    reading = Decoder(Output("", "label"), "binary")
    first, second = (scoring.prior(str(both / out), reading) for out in FORMATS)
    assert first == second


def test_shuffled_blocks_hold_every_row_once(both):
    files = layouts.split_files(both / "tfrecord", "train")
    blocks = list(Blocks(files, ["id"], seed=1, rows=300))
    read = [value for block in blocks for value in block.column(0).to_pylist()]
    assert count_rows(files) == len(read)
    assert sorted(read) == sorted(ids(both, "train", "tfrecord"))
    assert read != ids(both, "train", "tfrecord")


def test_columns_and_batches_are_chosen(both):
    files = layouts.split_files(both / "tfrecord", "train")
    first = next(reading.iter_batches(files, ["weight", "id"], batch_rows=7))
    assert (first.num_rows, set(first.schema.names)) == (7, {"id", "weight"})


def test_the_account_names_the_format(both):
    assert json.loads((both / "tfrecord/manifest.json").read_text())["format"] == "tfrecord"
