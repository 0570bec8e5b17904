"""TFDV's statistics on Beam, for data larger than one machine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet
import tensorflow_data_validation as tfdv
from apache_beam.io.filesystems import FileSystems

from kfp_ct.data import beam_runner, feature_statistics, layouts, reading


class ReadBatches(beam.DoFn):
    """Reads files of a dataset in large batches, so that the rows never travel one by one."""

    def process(self, file: str) -> Iterator[Any]:
        """Yields a file's rows as record batches of lists."""
        if layouts.is_tfrecord(file):
            yield from map(feature_statistics.to_lists, reading.iter_batches([file]))
            return
        with FileSystems.open(file) as opened, pyarrow.parquet.ParquetFile(opened) as parquet:
            for batch in parquet.iter_batches(batch_size=layouts.BATCH_ROWS):
                yield feature_statistics.to_lists(batch)


def write_statistics(
    files: Mapping[str, Sequence[str]], outputs: Mapping[str, Path], beam_pipeline_args: list[str]
) -> None:
    """Runs one Beam pipeline over all splits and writes each split's statistics.

    Args:
        files: Split name to its Parquet files, at least one each; only their names travel through the pipeline.
        outputs: Split name to the file to write.
        beam_pipeline_args: Beam options; without a runner among them it runs in this process.
    """
    with beam_runner.pipeline(beam_pipeline_args) as pipeline:
        for split, paths in files.items():
            statistics = (
                pipeline
                | f"Files[{split}]" >> beam.Create([_uri(path) for path in paths])
                | f"Spread[{split}]" >> beam.Reshuffle()
                | f"Read[{split}]" >> beam.ParDo(ReadBatches()).with_output_types(pa.RecordBatch)
                | f"Compute[{split}]" >> tfdv.GenerateStatistics(tfdv.StatsOptions(**feature_statistics.SKETCHES))
                | f"Name[{split}]" >> beam.Map(feature_statistics.finished, split)
            )
            _ = statistics | f"Write[{split}]" >> tfdv.WriteStatisticsToBinaryFile(_uri(outputs[split]))


def _uri(path: str | Path) -> str:
    """Names a file so that remote workers find it: Vertex mounts gs:// under /gcs/, its workers do not."""
    text = str(path)
    return f"gs://{text.removeprefix('/gcs/')}" if text.startswith("/gcs/") else text
