"""Writes transformed rows: the transform graph applied to large batches, one file in memory at a time."""

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.coders import example_coder
from tfx_bsl.tfxio import tensor_to_arrow

from kfp_ct.data import batches, beam_runner, layouts, reading
from kfp_ct.data.transform_graph import TransformGraph

_KINDS = {tf.int64: "int", tf.float32: "float", tf.string: "string"}

Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclasses.dataclass(frozen=True)
class How:
    """How files are written.

    Attributes:
        schema_file: Schema of the raw rows.
        graph_path: Folder of the transform graph.
        format: Parquet, one column a feature, each value a list; or TFRecord, gzipped tf.Examples as TFX has them.
    """

    schema_file: str
    graph_path: str
    format: str = layouts.PARQUET


def write(how: How, examples_path: str, output_path: str, beam_pipeline_args: list[str]) -> None:
    """Writes every split of a dataset transformed, file by file, with a manifest.

    Args:
        how: Schema, graph and format.
        examples_path: Dataset of raw rows.
        output_path: Dataset of transformed rows.
        beam_pipeline_args: Beam options; empty works in this process.
    """
    manifest = layouts.read_manifest(examples_path)
    splits = [
        dataclasses.replace(split, files=[_name(file, how.format) for file in split.files]) for split in manifest.splits
    ]
    for split in splits:
        layouts.split_path(output_path, split.name).mkdir(parents=True, exist_ok=True)
    files = [
        (str(Path(examples_path) / source), str(Path(output_path) / target))
        for split, written in zip(manifest.splits, splits, strict=True)
        for source, target in zip(split.files, written.files, strict=True)
    ]
    if beam_pipeline_args:
        with beam_runner.pipeline(beam_pipeline_args) as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(files)
                | "Spread" >> beam.Reshuffle()
                | "Transform" >> beam.ParDo(TransformFile(how))
            )
    else:
        transform = transform_of(how.graph_path, how.schema_file)
        for source, target in files:
            _write_file(transform, Path(source), Path(target))
    splits = [_without_empty_files(split, Path(output_path)) for split in splits]
    specs = tft.TFTransformOutput(how.graph_path).transformed_feature_spec()
    kinds = {name: _KINDS[spec.dtype] for name, spec in sorted(specs.items())}
    layouts.write_manifest(output_path, dataclasses.replace(manifest, splits=splits, columns=kinds, format=how.format))


def _without_empty_files(split: layouts.Split, root: Path) -> layouts.Split:
    """Leaves out the files of no rows, which are not written."""
    return dataclasses.replace(split, files=[file for file in split.files if (root / file).is_file()])


def _name(file: str, format: str) -> str:
    """Returns the name of a file in a format, whichever one it is in."""
    bare = file.removesuffix(".gz").removesuffix(".parquet")
    bare = bare.replace("data_tfrecord-", "data_parquet-")
    return f"{bare}.parquet" if format == layouts.PARQUET else f"{bare.replace('data_parquet-', 'data_tfrecord-')}.gz"


class TransformFile(beam.DoFn):
    """Transforms files on the worker, which loads the graph once: rows never travel."""

    def __init__(self, how: How) -> None:
        self._how = how
        self._transform: Transform | None = None

    def setup(self) -> None:
        """Loads the graph."""
        self._transform = transform_of(self._how.graph_path, self._how.schema_file)

    def process(self, files: tuple[str, str]) -> Iterator[Any]:
        """Writes a file's rows transformed and yields nothing."""
        assert self._transform is not None  # noqa: S101 - Beam calls setup first
        _write_file(self._transform, Path(files[0]), Path(files[1]))
        yield from ()


def transform_of(graph_path: str, schema_file: str) -> Transform:
    """Returns what turns batches of raw rows into batches of transformed ones."""
    output = tft.TFTransformOutput(graph_path)
    specs = batches.feature_specs(batches.read_schema(schema_file))
    columns = layouts.read_json(Path(output.transform_savedmodel_dir).parent / layouts.SUMMARY)["columns"]
    used = {name: specs[name] for name in columns}
    graph = TransformGraph(output)
    apply = tf.function(lambda raw: graph(batches.to_features(raw, used)), autograph=False, reduce_retracing=True)
    converter = tensor_to_arrow.TensorsToRecordBatchConverter(_type_specs(output))

    def call(batch: pa.RecordBatch) -> pa.RecordBatch:
        return converter.convert(apply(batches.to_tensors(batches.to_columns(batch, used))))

    return call


def _type_specs(output: tft.TFTransformOutput) -> dict[str, tf.TypeSpec]:
    return {name: batches.type_spec(spec) for name, spec in output.transformed_feature_spec().items()}


def _write_file(transform: Transform, source: Path, target: Path) -> None:
    # A worker may be given a file twice: each writes its own, and the last one renamed stands.
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    write = _write_tfrecord if layouts.is_tfrecord(target) else _write_parquet
    if write(partial, (transform(batch) for batch in reading.iter_batches([str(source)]))):
        partial.replace(target)


def _write_parquet(path: Path, transformed: Iterable[pa.RecordBatch]) -> bool:
    writer = None
    for batch in transformed:
        writer = writer or pyarrow.parquet.ParquetWriter(path, batch.schema)
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return writer is not None


def _write_tfrecord(path: Path, transformed: Iterable[pa.RecordBatch]) -> bool:
    rows = 0
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for batch in transformed:
            for example in example_coder.RecordBatchToExamples(batch):
                writer.write(example)
            rows += batch.num_rows
    if not rows:
        path.unlink()
    return bool(rows)
