"""Writes transformed rows: the transform graph applied to large batches, one file in memory at a time."""

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import tensor_to_arrow

from kfp_ct.data import batches, beam_runner, layouts, reading
from kfp_ct.data.transform_graph import TransformGraph

_KINDS = {tf.int64: "int", tf.float32: "float", tf.string: "string"}

Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


def write(schema_file: str, examples_path: str, paths: tuple[str, str], beam_pipeline_args: list[str]) -> None:
    """Writes every split of a dataset transformed, file by file, with a manifest.

    Args:
        schema_file: Schema of the raw rows.
        examples_path: Dataset of raw rows.
        paths: Folder of the transform graph; dataset of transformed rows: one column a feature, each value a list.
        beam_pipeline_args: Beam options; empty works in this process.
    """
    graph_path, output_path = paths
    manifest = layouts.read_manifest(examples_path)
    splits = [dataclasses.replace(split, files=list(map(_parquet_name, split.files))) for split in manifest.splits]
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
                | "Transform" >> beam.ParDo(TransformFile(schema_file, graph_path))
            )
    else:
        transform = transform_of(graph_path, schema_file)
        for source, target in files:
            _write_file(transform, Path(source), Path(target))
    splits = [_without_empty_files(split, Path(output_path)) for split in splits]
    specs = tft.TFTransformOutput(graph_path).transformed_feature_spec()
    kinds = {name: _KINDS[spec.dtype] for name, spec in sorted(specs.items())}
    layouts.write_manifest(
        output_path, dataclasses.replace(manifest, splits=splits, columns=kinds, format=layouts.PARQUET)
    )


def _without_empty_files(split: layouts.Split, root: Path) -> layouts.Split:
    """Leaves out the files of no rows, which are not written."""
    return dataclasses.replace(split, files=[file for file in split.files if (root / file).is_file()])


def _parquet_name(file: str) -> str:
    if not layouts.is_tfrecord(file):
        return file
    return file.replace("data_tfrecord-", "data_parquet-").removesuffix(".gz") + ".parquet"


class TransformFile(beam.DoFn):
    """Transforms files on the worker, which loads the graph once: rows never travel."""

    def __init__(self, schema_file: str, graph_path: str) -> None:
        self._schema_file, self._graph_path = schema_file, graph_path
        self._transform: Transform | None = None

    def setup(self) -> None:
        """Loads the graph."""
        self._transform = transform_of(self._graph_path, self._schema_file)

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
    writer = None
    for batch in reading.iter_batches([str(source)]):
        transformed = transform(batch)
        writer = writer or pyarrow.parquet.ParquetWriter(partial, transformed.schema)
        writer.write_batch(transformed)
    if writer is not None:
        writer.close()
        partial.replace(target)
