"""The data-validation gate: holds the statistics of every split against the schema and stops the run on any anomaly."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components import artifacts, log
from components.errors import AnomaliesFoundError, ConfigurationError, DataError
from components.validate_data import account, own_checks, view
from components.validate_data.anomaly import Anomaly, from_tfdv, with_own, without_echoes

STATISTICS, DIFFERENCES = "FeatureStats.pb", "SchemaDiff.pb"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Folders of the statistics and of the schema."""

    statistics_path: str
    schema_path: str


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Folder of the anomalies and the HTML file to write."""

    anomalies_path: str
    view_path: str


def validate(inputs: Inputs, outputs: Outputs, label: str, environment: str) -> dict[str, Any]:
    """Writes `Split-<name>/SchemaDiff.pb`, `summary.json` and the page, and only then says no if it must.

    A distribution that merely moved inside the schema's bounds is no anomaly: it is a reason to retrain.

    Args:
        inputs: Statistics and schema.
        outputs: Where the account of the anomalies goes.
        label: Column that must have at least two values in every split; empty for none.
        environment: Schema environment the data belongs to; ignored if the schema declares none.

    Returns:
        Metadata of the artifact: splits and features examined.

    Raises:
        AnomaliesFoundError: There is an anomaly, or nothing was there to be examined.
        ConfigurationError: The schema cannot be read or does not declare the environment.
        DataError: A split has no statistics.
    """
    schema = _read_schema(inputs.schema_path, environment)
    splits = _read_statistics(inputs.statistics_path)
    found = _nothing_examined(splits, schema)
    for name, statistics in splits.items():
        found += _validate_split(
            statistics, schema, (label, environment), artifacts.split_path(outputs.anomalies_path, name)
        )
    summary = account.of(splits, schema, found)
    artifacts.write_json(Path(outputs.anomalies_path) / artifacts.SUMMARY, summary)
    artifacts.write_text(outputs.view_path, view.draw(summary))
    if found:
        log.finding(account.headline(found))
        raise AnomaliesFoundError(account.message(found, _schema_name(inputs.schema_path)))
    features = len(schema.feature)
    log.finding(f"no anomalies in {len(splits)} splits, {features} features")
    return {"splits": list(splits), "features": features, "anomalies": 0}


def _validate_split(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    expected: tuple[str, str],
    folder: Path,
) -> list[Anomaly]:
    """Returns a split's anomalies and leaves them in TFDV's own format for its other tools."""
    label, environment = expected
    declared = environment if schema.default_environment else None
    result = tfdv.validate_statistics(statistics, schema, environment=declared)
    dataset = statistics.datasets[0]
    found = from_tfdv(result, dataset, schema)
    own = own_checks.empty_columns(dataset, schema, environment) + own_checks.label(
        dataset, schema, (label, environment)
    )
    own = without_echoes(own, found)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DIFFERENCES).write_bytes(with_own(result, own).SerializeToString(deterministic=True))
    return found + own


def _read_schema(schema_path: str, environment: str) -> schema_pb2.Schema:
    path = Path(schema_path) / artifacts.SCHEMA
    if not path.is_file():
        raise ConfigurationError(f"no {artifacts.SCHEMA} in {schema_path}\nexpected: the schema output of schema")
    try:
        schema = text_format.Parse(path.read_text(), schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigurationError(f"the schema {path} cannot be parsed: {error}") from error
    if schema.default_environment and environment not in schema.default_environment:
        raise ConfigurationError(
            f"the schema {_schema_name(schema_path)} declares no environment {environment!r}\n"
            f"expected: one of {list(schema.default_environment)}\n"
            f"mend: add `default_environment: {environment!r}` to it, or correct the environment"
        )
    return schema


def _read_statistics(statistics_path: str) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    folders = sorted(
        Path(statistics_path).glob("Split-*"), key=lambda folder: (folder.name != "Split-train", folder.name)
    )
    return {folder.name.removeprefix("Split-"): _read_split(folder / STATISTICS) for folder in folders}


def _read_split(path: Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    if not path.is_file():
        raise DataError(f"no {STATISTICS} in {path.parent}\nexpected: the statistics output of statistics")
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
    if len(statistics.datasets) != 1:
        raise DataError(f"{path} holds {len(statistics.datasets)} datasets\nexpected: one, without slices")
    return statistics


def _nothing_examined(
    splits: dict[str, statistics_pb2.DatasetFeatureStatisticsList], schema: schema_pb2.Schema
) -> list[Anomaly]:
    """A gate that examined nothing has not let anything through."""
    found = []
    if not splits:
        found.append(_nothing("", "the statistics have no split"))
    if not schema.feature:
        found.append(_nothing("", "the schema has no feature"))
    for name, statistics in splits.items():
        if not statistics.datasets[0].num_examples:
            found.append(_nothing(name, "the split has no rows"))
        if not statistics.datasets[0].features:
            found.append(_nothing(name, "the statistics of the split have no feature"))
    return found


def _nothing(split: str, what: str) -> Anomaly:
    return Anomaly(split, "", "NOTHING_EXAMINED", what)


def _schema_name(schema_path: str) -> str:
    """Names the file that a person would edit."""
    summary = Path(schema_path) / artifacts.SUMMARY
    curated: Sequence[str] = (artifacts.read_json(summary).get("schema_file"),) if summary.is_file() else ()
    return next((name for name in curated if name), str(Path(schema_path) / artifacts.SCHEMA))
