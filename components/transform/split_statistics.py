"""Statistics before and after the transform, as TFX's Transform computes them: TFDV on Beam, options by the module."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.transform import materialized
from kfp_ct.data import batches, beam_runner, feature_statistics, layouts, reading, tfx_names, user_code

UPDATER = "stats_options_updater_fn"
Paths = tuple[str, str]


class ReadLists(beam.DoFn):
    """Reads files in batches of lists, transformed if there is a graph, on the worker."""

    def __init__(self, schema_file: str, graph_path: str = "") -> None:
        self._schema_file, self._graph_path = schema_file, graph_path
        self._transform: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None

    def setup(self) -> None:
        """Loads the graph."""
        if self._graph_path:
            self._transform = materialized.transform_of(self._graph_path, self._schema_file)

    def process(self, file: str) -> Iterator[pa.RecordBatch]:
        """Yields the batches of one file."""
        for batch in reading.iter_batches([file]):
            yield self._transform(batch) if self._transform else feature_statistics.to_lists(batch)


def write(module: str, paths: Paths, files: dict[str, list[str]], beam_pipeline_args: list[str]) -> None:
    """Writes `pre_transform_feature_stats` and `post_transform_feature_stats` where TFTransformOutput has them.

    Args:
        module: The user's module; its `stats_options_updater_fn` may change TFDV's options.
        paths: Schema of the raw rows, and folder of the transform graph.
        files: Files to compute on, by "pre" and "post".
        beam_pipeline_args: Beam options; empty works in this process.

    Raises:
        ConfigurationError: The function fails, or returns something other than StatsOptions.
    """
    schema_file, graph_path = paths
    output = tft.TFTransformOutput(graph_path)
    asked = {
        "pre": (ReadLists(schema_file), _options(module, 1, schema=batches.read_schema(schema_file))),
        "post": (ReadLists(schema_file, graph_path), _options(module, 2, **_of_transformed(output))),
    }
    with beam_runner.pipeline(beam_pipeline_args) as pipeline:
        for name, (read, options) in asked.items():
            target = Path(graph_path) / f"{name}_transform_feature_stats" / layouts.STATISTICS_FILE
            target.parent.mkdir(parents=True, exist_ok=True)
            statistics = (
                pipeline
                | f"Files[{name}]" >> beam.Create(files[name])
                | f"Read[{name}]" >> beam.ParDo(read).with_output_types(pa.RecordBatch)
                | f"Compute[{name}]" >> tfdv.GenerateStatistics(options)
            )
            _ = statistics | f"Write[{name}]" >> tfdv.WriteStatisticsToBinaryFile(str(target))
    task_log.progress("statistics before and after the transform")


def _of_transformed(output: tft.TFTransformOutput) -> dict[str, Any]:
    """Gives the schema of the features, and the vocabularies by the names that the module has for them."""
    assets = Path(output.transform_savedmodel_dir, "assets")
    listed = Path(output.transform_savedmodel_dir).parent / output.TRANSFORMED_METADATA_DIR / output.ASSET_MAP
    names = json.loads(listed.read_text()) if listed.is_file() else {}
    vocabularies = {name: str(assets / file) for name, file in names.items()}
    return {"schema": output.transformed_metadata.schema, "vocab_paths": vocabularies}


def _options(module: str, stats_type: int, **given: Any) -> tfdv.StatsOptions:
    options = tfdv.StatsOptions(**given, **feature_statistics.SKETCHES)
    update = getattr(user_code.load_module(module), UPDATER, None)
    if update is None:
        return options
    with user_code.failing_as(ConfigurationError, module, UPDATER):
        updated = update(tfx_names.stats_type(stats_type), options)
    if not isinstance(updated, tfdv.StatsOptions):
        raise ConfigurationError(
            f"{UPDATER} of {module} returns {type(updated).__name__}\n"
            "expected: the tfdv.StatsOptions that it is given, changed"
        )
    return updated
