"""Do our numbers agree with TFX's own components on the same rows? Statistics, transformed values and metrics.

    .venv-components/bin/python benchmarks/agreement.py

Needs tfx (the current component set). Our components make the flights' examples, statistics, transform graph, model and
evaluation; TFX's ImportExampleGen, StatisticsGen, Transform and Evaluator then work on the same rows, on Beam. (TFX's
own Parquet reader takes every zero for missing: `dict_to_example`, TFX 1.21. The rows reach TFX as tf.Examples written
here.) Prints Markdown tables.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the project's folder must be importable first
import pyarrow.parquet  # noqa: E402
import scale  # noqa: E402
import tensorflow as tf  # noqa: E402
import tensorflow_model_analysis as tfma  # noqa: E402
import tensorflow_transform as tft  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow_metadata.proto.v0 import statistics_pb2  # noqa: E402
from tensorflow_model_analysis.proto import config_pb2  # noqa: E402
from tensorflow_model_analysis.slicer import slicer_lib  # noqa: E402
from tfx import v1 as tfx  # noqa: E402

from kfp_ct.data import layouts, reading  # noqa: E402

FEATURES = "benchmarks.agreement_features"
SPLITS = ("train", "eval")
RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def main() -> None:
    """Runs both sides and prints what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--window-end", default="2013-06-01", help="the last month before it is held out")
    parser.add_argument("--home", type=Path, help="keep the artifacts here; a temporary folder by default")
    options = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        home = (options.home or Path(scratch)).absolute()
        if not (home / "evaluation").is_dir():
            ours(home, options.window_end)
        theirs = tfx_pipeline(home)
        rows = {split.name: split.rows for split in layouts.read_manifest(home / "examples").splits}
        print(f"{rows['train']:,} train rows, {rows['eval']:,} eval rows; TFX {tfx.__version__}, TF {tf.__version__}")
        for title, lines in (
            ("Statistics", statistics(home, theirs)),
            ("Transformed values", transformed(home, theirs)),
            ("Metrics", metrics(home, theirs)),
        ):
            print(f"\n## {title}\n")
            print("\n".join(lines))


def ours(home: Path, window_end: str) -> None:
    """Runs our components."""
    scale.write_sources(home / "sources", 1)
    steps = scale.steps(1)
    steps["ingest"] |= {"window_end": window_end, "split": {**steps["ingest"]["split"], "holdout": "1 month"}}
    for name, arguments in steps.items():
        scale.call(name, home, arguments)
    # The model takes no key: the features that are compared are made once more with it.
    keyed = home / "keyed"
    keyed.mkdir()
    for name in ("examples", "schema"):
        (keyed / name).symlink_to(home / name)
    scale.call("transform", keyed, {**steps["transform"], "module": FEATURES})


def tfx_pipeline(home: Path) -> dict[str, Path]:
    """Runs TFX's components on our examples, schema and model; returns their newest outputs by name."""
    root = home / "tfx"
    splits = [tfx.proto.Input.Split(name=split, pattern=f"{split}/*") for split in SPLITS]
    write_records(home / "examples", home / "records")
    examples = tfx.components.ImportExampleGen(
        input_base=str(home / "records"), input_config=tfx.proto.Input(splits=splits)
    )
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.ImportSchemaGen(schema_file=str(home / "schema" / "schema.pbtxt"))
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn=f"{FEATURES}.preprocessing_fn",
    )
    model = tfx.dsl.Importer(source_uri=str(home / "model"), artifact_type=tfx.types.standard_artifacts.Model).with_id(
        "model"
    )
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        model=model.outputs["result"],
        schema=schema.outputs["schema"],
        eval_config=eval_config(),
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="agreement",
        pipeline_root=str(root),
        components=[examples, statistics, schema, transform, model, evaluator],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root / "db")),
        beam_pipeline_args=[RUNNER],
    )
    root.mkdir(exist_ok=True)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    outputs = {
        "statistics": "StatisticsGen/statistics",
        "graph": "Transform/transform_graph",
        "transformed": "Transform/transformed_examples",
        "evaluation": "Evaluator/evaluation",
    }
    return {name: max((root / folder).iterdir(), key=lambda path: int(path.name)) for name, folder in outputs.items()}


def write_records(examples: Path, folder: Path) -> None:
    """Writes a dataset's rows as tf.Examples, one by one and by protobuf alone; a missing value is left out."""
    for split in SPLITS:
        (folder / split).mkdir(parents=True, exist_ok=True)
        options = tf.io.TFRecordOptions("GZIP", compression_level=1)
        with tf.io.TFRecordWriter(str(folder / split / "rows.gz"), options) as file:
            for batch in reading.iter_batches(layouts.split_files(examples, split)):
                for row in batch.to_pylist():
                    known = {name: _feature(value) for name, value in row.items() if value is not None}
                    file.write(tf.train.Example(features=tf.train.Features(feature=known)).SerializeToString())


def _feature(value: str | int | float) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def eval_config() -> config_pb2.EvalConfig:
    """Returns the flights' EvalConfig, asking the same model by its signature for serialised tf.Examples."""
    text = (ROOT / scale.FLIGHTS / "eval_config.pbtxt").read_text()
    config = text_format.Parse(text, config_pb2.EvalConfig())
    config.model_specs[0].signature_name = "serving_examples"
    return config


def difference(ours: float, theirs: float) -> float:
    """Returns the relative difference of two numbers."""
    return 0.0 if ours == theirs else abs(ours - theirs) / max(abs(ours), abs(theirs))


def statistics(home: Path, theirs: dict[str, Path]) -> list[str]:
    """Compares every feature's statistics in both splits."""
    worst: dict[str, list[tuple[float, str]]] = {}
    for split in SPLITS:
        mine, other = (_statistics(folder / f"Split-{split}") for folder in (home / "statistics", theirs["statistics"]))
        assert mine.keys() == other.keys()
        for name in mine:
            for what, value in mine[name].items():
                worst.setdefault(what, []).append((_apart(value, other[name][what]), f"{name} ({split})"))
    lines = ["| statistic | features × splits | equal | largest relative difference | where |", "|---|---|---|---|---|"]
    for what, found in worst.items():
        largest, where = max(found)
        equal = sum(not each for each, _ in found)
        lines.append(f"| {what} | {len(found)} | {equal} | {largest:.1e} | {where if largest else ''} |")
    return lines


def _statistics(folder: Path) -> dict[str, dict[str, Any]]:
    data = (folder / layouts.STATISTICS_FILE).read_bytes()
    dataset = statistics_pb2.DatasetFeatureStatisticsList.FromString(data).datasets[0]
    return {feature.path.step[0]: _described(feature, dataset.num_examples) for feature in dataset.features}


def _described(feature: Any, rows: float) -> dict[str, Any]:
    stats = feature.string_stats if feature.HasField("string_stats") else feature.num_stats
    found = {"rows": rows, "rows with a value": stats.common_stats.num_non_missing}
    if feature.HasField("string_stats"):
        top = {each.value: each.frequency for each in stats.top_values}
        return found | {
            "distinct values": stats.unique,
            "average length": stats.avg_length,
            # Which of many equally frequent values are listed is chance: frequencies are compared in order.
            "top values' frequencies": sorted(top.values(), reverse=True),
        }
    quantiles = next(h for h in stats.histograms if h.type == statistics_pb2.Histogram.QUANTILES)
    return found | {
        "min": stats.min,
        "max": stats.max,
        "mean": stats.mean,
        "standard deviation": stats.std_dev,
        "zeros": stats.num_zeros,
        "median": stats.median,
        "deciles": [bucket.high_value for bucket in quantiles.buckets],
    }


def _apart(mine: Any, other: Any) -> float:
    if isinstance(mine, list):
        return max(map(difference, mine, other), default=0.0) if len(mine) == len(other) else float("inf")
    return difference(mine, other)


def transformed(home: Path, theirs: dict[str, Path]) -> list[str]:
    """Compares the transformed values of every row, matched by the flight's key."""
    lines = [
        "| feature | values | equal | differing rows | largest difference |",
        "|---|---|---|---|---|",
    ]
    mine = _by_key(_read_parquet(home / "keyed" / "transformed_examples"))
    other = _by_key(_read_records(theirs["transformed"], tft.TFTransformOutput(str(theirs["graph"]))))
    assert np.array_equal(mine.pop("flight_id"), other.pop("flight_id")), "the rows are not the same"
    for name in mine:
        apart = np.abs(mine[name].astype(np.float64) - other[name].astype(np.float64))
        equal = 100 * np.mean(apart == 0)
        lines.append(f"| {name} | {apart.size:,} | {equal:.4f} % | {np.any(apart, 1).sum():,} | {apart.max():.1e} |")
    return lines


def _by_key(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    keys = columns["flight_id"].reshape(-1)
    assert len(set(keys)) == len(keys), "flight_id is no key"
    order = np.argsort(keys)
    return {name: values.reshape(len(keys), -1)[order] for name, values in columns.items()}


def _read_parquet(folder: Path) -> dict[str, np.ndarray]:
    files = [file for split in SPLITS for file in layouts.split_files(folder, split)]
    table = pyarrow.parquet.ParquetDataset(files).read()
    return {name: table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False) for name in table.column_names}


def _read_records(folder: Path, output: tft.TFTransformOutput) -> dict[str, np.ndarray]:
    files = sorted(str(file) for split in SPLITS for file in (folder / f"Split-{split}").glob("*.gz"))
    parts: dict[str, list[np.ndarray]] = {}
    for records in tf.data.TFRecordDataset(files, "GZIP").batch(10_000):
        for name, values in tf.io.parse_example(records, output.transformed_feature_spec()).items():
            parts.setdefault(name, []).append(values.numpy().reshape(len(records), -1))
    return {name: np.concatenate(values) for name, values in parts.items()}


def metrics(home: Path, theirs: dict[str, Path]) -> list[str]:
    """Compares every metric of every slice."""
    mine, other = (dict(_metrics(folder)) for folder in (home / "evaluation", theirs["evaluation"]))
    assert mine.keys() == other.keys(), mine.keys() ^ other.keys()
    lines = [
        "| metric | slices | overall, ours | overall, TFX | largest difference | slice |",
        "|---|---|---|---|---|---|",
    ]
    for metric in sorted({metric for metric, _ in mine}):
        slices = [key for name, key in mine if name == metric]
        apart = {key: abs(mine[metric, key] - other[metric, key]) for key in slices}
        where = max(apart, key=apart.__getitem__)
        overall = [f"{side[metric, 'overall']:.8g}" for side in (mine, other)]
        lines.append(f"| {metric} | {len(slices)} | {' | '.join(overall)} | {apart[where]:.1e} | {where} |")
    return lines


def _metrics(folder: Path) -> Iterator[tuple[tuple[str, str], float]]:
    for record in tfma.load_metrics(str(folder)):
        key = slicer_lib.deserialize_slice_key(record.slice_key)
        name = ", ".join(f"{column}={value}" for column, value in key) or "overall"
        for item in record.metric_keys_and_values:
            if item.value.WhichOneof("type") == "double_value":
                yield (item.key.name, name), item.value.double_value.value


if __name__ == "__main__":
    main()
