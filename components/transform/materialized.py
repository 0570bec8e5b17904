"""Writes transformed rows: the transform graph applied to large batches, one file in memory at a time."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tensor_to_arrow

from components import artifacts, batches
from components.transform_graph import TransformGraph

_KINDS = {tf.int64: "int", tf.float32: "float", tf.string: "string"}

Transform = Callable[[pa.RecordBatch], pa.RecordBatch]


def write(schema: schema_pb2.Schema, examples_path: str, graph_path: str, output_path: str) -> None:
    """Writes every split of a dataset transformed, file by file, with a manifest.

    Args:
        schema: Schema of the raw rows.
        examples_path: Dataset of raw rows.
        graph_path: Folder of the transform graph.
        output_path: Dataset of transformed rows: one column a feature, each value a list.
    """
    manifest = artifacts.read_manifest(examples_path)
    output = tft.TFTransformOutput(graph_path)
    transform = _transform(output, batches.feature_specs(schema))
    splits = []
    for split in manifest.splits:
        artifacts.split_path(output_path, split.name).mkdir(parents=True, exist_ok=True)
        files = [_parquet_name(file) for file in split.files]
        for source, target in zip(split.files, files, strict=True):
            _write_file(transform, Path(examples_path) / source, Path(output_path) / target)
        splits.append(dataclasses.replace(split, files=files))
    kinds = {name: _KINDS[spec.dtype] for name, spec in sorted(output.transformed_feature_spec().items())}
    artifacts.write_manifest(
        output_path, dataclasses.replace(manifest, splits=splits, columns=kinds, format=artifacts.PARQUET)
    )


def _parquet_name(file: str) -> str:
    if not artifacts.is_tfrecord(file):
        return file
    return file.replace("data_tfrecord-", "data_parquet-").removesuffix(".gz") + ".parquet"


def _transform(output: tft.TFTransformOutput, specs: Mapping[str, batches.FeatureSpec]) -> Transform:
    columns = artifacts.read_json(Path(output.transform_savedmodel_dir).parent / artifacts.SUMMARY)["columns"]
    used = {name: specs[name] for name in columns}
    graph = TransformGraph(output)
    apply = tf.function(lambda raw: graph(batches.to_features(raw, used)), autograph=False, reduce_retracing=True)
    converter = tensor_to_arrow.TensorsToRecordBatchConverter(_type_specs(output))

    def call(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = batches.to_arrays(batch, {name: spec.dtype for name, spec in used.items()})
        return converter.convert(apply({name: tf.constant(values) for name, values in arrays.items()}))

    return call


def _type_specs(output: tft.TFTransformOutput) -> dict[str, tf.TypeSpec]:
    return {name: batches.type_spec(spec) for name, spec in output.transformed_feature_spec().items()}


def _write_file(transform: Transform, source: Path, target: Path) -> None:
    writer = None
    for batch in artifacts.iter_batches([str(source)]):
        transformed = transform(batch)
        writer = writer or pyarrow.parquet.ParquetWriter(target, transformed.schema)
        writer.write_batch(transformed)
    if writer is not None:
        writer.close()
