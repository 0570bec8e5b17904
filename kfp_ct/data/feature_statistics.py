"""TFDV's statistics in this process: its own combiners fed batch by batch, no Beam.

Measured on 261,506 rows of 16 columns: 0.3 s here, 16 s on Beam's in-process runner.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import table_util

from kfp_ct.base.errors import DataError

# Top values and distinct counts by sketch: bounded memory, and what TFDV does in memory anyway.
SKETCHES = {"use_sketch_based_topk_uniques": True}


def compute(batches: Iterable[Any], name: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Computes the statistics of one dataset.

    Args:
        batches: `pyarrow.RecordBatch`es of integer, floating-point or string columns, or lists of them; null and NaN
            are missing.
        name: Name of the dataset in the result.

    Returns:
        What `tfdv.generate_statistics_in_memory` returns over all rows at once (quantiles within TFDV's 1 %); NaN is
        missing.

    Raises:
        DataError: A column is of another type.
    """
    generators = stats_impl.get_generators(tfdv.StatsOptions(**SKETCHES), in_memory=True)
    accumulators = [generator.create_accumulator() for generator in generators]
    # Infinite and huge values have no variance; the summary says so, numpy need not.
    with np.errstate(invalid="ignore", over="ignore"):
        for batch in batches:
            lists = to_lists(batch)
            accumulators = [
                generator.compact(generator.add_input(accumulator, lists))
                for generator, accumulator in zip(generators, accumulators, strict=True)
            ]
        statistics = stats_impl.extract_statistics_output(accumulators, generators)
    return finished(statistics, name)


def finished(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, name: str
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Names a dataset, and counts NaN among the missing values, which TFDV takes for values.

    Numpy, pandas, Spark and JSON write what is missing in a float column as NaN; every later step reads it so. The
    histograms keep their count of NaN. In lists NaN stays a value: which row it is of is not in the statistics.
    """
    statistics.datasets[0].name = name
    for feature in statistics.datasets[0].features:
        common, nan = feature.num_stats.common_stats, nan_values(feature)
        if not nan or common.max_num_values > 1:
            continue
        common.num_missing += nan
        common.num_non_missing -= nan
        common.tot_num_values -= nan
        if not common.num_non_missing:
            common.min_num_values = common.max_num_values = 0
            common.avg_num_values = 0.0
    return statistics


def nan_values(feature: Any) -> int:
    """Returns how many values of a feature are NaN."""
    return int(max((histogram.num_nan for histogram in feature.num_stats.histograms), default=0))


def infinite_values(feature: Any) -> tuple[int, int]:
    """Returns how many values of a feature are minus infinity, and how many plus infinity."""
    standard = [each for each in feature.num_stats.histograms if each.type == statistics_pb2.Histogram.STANDARD]
    buckets = [bucket for histogram in standard for bucket in histogram.buckets]
    counts = [
        sum(bucket.sample_count for bucket in buckets if bucket.low_value == bucket.high_value == end)
        for end in (-math.inf, math.inf)
    ]
    return round(counts[0]), round(counts[1])


def to_lists(batch: Any) -> Any:
    """Returns a batch as TFDV wants it: every value a list of one, missing where it was null.

    Raises:
        DataError: A column is neither integer, floating-point nor string, nor lists of them.
    """
    for field in batch.schema:
        if not _is_supported(_value_type(field.type)):
            raise DataError(
                f"column {field.name!r} has the type {field.type}\nexpected: integers, floats or strings\n"
                f"fix: {_fix(field.type)}"
            )
    return table_util.CanonicalizeRecordBatch(batch)


def _fix(kind: Any) -> str:
    """Says how the query can make a column of a type that statistics take."""
    if pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_nested(kind):
        return "select its parts in the query as columns of their own, for example a.b AS b or a[1] AS first"
    if pa.types.is_decimal(kind):
        return "cast it in the query, for example to DOUBLE"
    if pa.types.is_boolean(kind):
        return "cast it in the query, for example to BIGINT"
    if pa.types.is_null(kind):
        return "take it out of the query, since it has no value; or cast it to the type that it should have"
    return "cast it in the query, for example to VARCHAR, or to a number by epoch(…)"


def _value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind


def _is_supported(kind: Any) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind) or _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
