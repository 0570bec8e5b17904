"""The data-validation gate: holds the statistics of every split against the schema and stops the run on an anomaly.

A split's anomalies may be warnings instead, by the settings. Drift and skew are recorded; they stop nothing.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import AnomaliesFoundError, ConfigurationError, DataError
from kfp_ct.components.validate_data import anomaly_report, comparison, own_checks, privacy, view
from kfp_ct.components.validate_data.anomaly import Anomaly, from_tfdv, with_own_checks, without_repeats
from kfp_ct.components.validate_data.settings import Parameters
from kfp_ct.data import drift, layouts

STATISTICS, DIFFERENCES = "FeatureStats.pb", "SchemaDiff.pb"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Folders of the statistics, of the schema and of the champion, which may be none."""

    statistics_path: str
    schema_path: str
    champion_path: str = ""
    champion_version: str = ""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Folder of the anomalies and the HTML file to write."""

    anomalies_path: str
    view_path: str


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run goes on with: the artifact's metadata, and what drifted."""

    metadata: dict[str, Any]
    drifted_features: list[str]

    @property
    def drifted(self) -> bool:
        """Whether any feature drifted."""
        return bool(self.drifted_features)


def validate(inputs: Inputs, outputs: Outputs, rules: Parameters) -> Result:
    """Writes `Split-<name>/SchemaDiff.pb`, `summary.json` and the page, and only then says no if it must.

    A distribution that merely moved inside the schema's bounds is no anomaly: it is a reason to retrain.

    Args:
        inputs: Statistics, schema and champion.
        outputs: Where the report of the anomalies goes.
        rules: What is demanded beyond the schema.

    Returns:
        Splits and features examined, and the features that drifted.

    Raises:
        AnomaliesFoundError: There is an anomaly or personal data, or nothing was there to be examined.
        ConfigurationError: The schema cannot be read, has a comparator that does not fit, or does not declare the
            environment.
        DataError: A split has no statistics.
    """
    schema = _read_schema(inputs.schema_path, rules.environment)
    drift.check_comparators(schema)
    splits = _read_statistics(inputs.statistics_path)
    _require_known_splits(splits, rules)
    found = _find(splits, schema, rules, outputs)
    stopping = [anomaly for anomaly in found if anomaly.stops]
    champion = comparison.Champion(inputs.champion_path, inputs.champion_version)
    # Data that does not fit the schema says nothing by its distances.
    drifted = comparison.drift_from(champion, splits, schema) if not stopping else comparison.NOT_COMPARED
    skewed = comparison.skew_between(splits, schema) if not stopping else []
    summary = anomaly_report.content((splits, schema), found, rules) | anomaly_report.drift_and_skew(drifted, skewed)
    layouts.write_json(Path(outputs.anomalies_path) / layouts.SUMMARY, summary)
    layouts.write_text(outputs.view_path, view.draw(summary))
    if stopping:
        task_log.summary(anomaly_report.headline(stopping))
        raise AnomaliesFoundError(anomaly_report.message(stopping, _schema_name(inputs.schema_path)))
    return _let_through(summary, found, (drifted, skewed))


def _let_through(
    summary: dict[str, Any],
    warned: list[Anomaly],
    moved: tuple[comparison.Comparison, list[comparison.Comparison]],
) -> Result:
    """Says what was examined, and every anomaly that was let through."""
    for anomaly in warned:
        task_log.progress(f"warning: {anomaly_report.line(anomaly)}")
    examined = [split["name"] for split in summary["splits"] if split["severity"] != "skip"]
    skipped = [split["name"] for split in summary["splits"] if split["severity"] == "skip"]
    found = f"{anomaly_report.headline(warned)}, let through with a warning," if warned else "no anomalies"
    left_out = f"; {', '.join(skipped)} not examined" if skipped else ""
    task_log.summary(
        f"{found} in {len(examined)} splits, {summary['features']} features{left_out}; "
        f"{comparison.summary_clause(*moved)}"
    )
    counts = {"anomalies": 0, **({"warned": len(warned)} if warned else {})}
    metadata = {"splits": examined, "features": summary["features"], **counts}
    return Result(metadata | ({"skipped": skipped} if skipped else {}), moved[0].exceeded)


def _require_known_splits(splits: dict[str, statistics_pb2.DatasetFeatureStatisticsList], rules: Parameters) -> None:
    """A severity of a split that is not there is a typing error; with all splits skipped nothing would be examined."""
    fix = "fix: correct severities in the settings"
    if unknown := sorted(set(rules.severities) - set(splits)):
        raise ConfigurationError(
            f"severities name {', '.join(unknown)}, which the data has no split of\n"
            f"expected: names among {', '.join(splits)}\n{fix}"
        )
    if splits and all(rules.severity(name) == "skip" for name in splits):
        raise ConfigurationError(
            f"severities skip every split ({', '.join(splits)}): nothing would be examined\n"
            f"expected: at least one that stops or warns\n{fix}"
        )


def _find(
    splits: dict[str, statistics_pb2.DatasetFeatureStatisticsList],
    schema: schema_pb2.Schema,
    rules: Parameters,
    outputs: Outputs,
) -> list[Anomaly]:
    """Returns what stops the run, personal data first, and writes TFDV's files."""
    personal = privacy.personal_columns(splits, schema, rules.deny)
    secret = {anomaly.feature for anomaly in personal}
    found = personal + _nothing_examined(splits, schema)
    for name, statistics in splits.items():
        folder = layouts.split_path(outputs.anomalies_path, name)
        own = [anomaly for anomaly in personal if anomaly.split == name]
        if rules.severity(name) != "skip":
            found += _validate_split(statistics, schema, rules, (folder, own))
    return [dataclasses.replace(each, example="") if each.feature in secret else each for each in found]


def _validate_split(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    rules: Parameters,
    kept: tuple[Path, list[Anomaly]],
) -> list[Anomaly]:
    """Returns a split's anomalies and leaves them, personal data among them, in TFDV's own format."""
    folder, personal = kept
    declared = rules.environment if schema.default_environment else None
    result = tfdv.validate_statistics(statistics, schema, environment=declared)
    dataset = statistics.datasets[0]
    found = from_tfdv(result, dataset, schema)
    own = [
        *own_checks.empty_columns(dataset, schema, rules.environment),
        *own_checks.infinite_values(dataset, schema, rules.environment),
        *own_checks.label(dataset, schema, (rules.label, rules.environment)),
    ]
    own = without_repeats(own, found)
    folder.mkdir(parents=True, exist_ok=True)
    severity = rules.severity(dataset.name)
    found, own = ([dataclasses.replace(each, severity=severity) for each in group] for group in (found, own))
    whole = with_own_checks(result, own + personal, severity)
    (folder / DIFFERENCES).write_bytes(whole.SerializeToString(deterministic=True))
    return found + own


def _read_schema(schema_path: str, environment: str) -> schema_pb2.Schema:
    path = Path(schema_path) / layouts.SCHEMA
    if not path.is_file():
        raise ConfigurationError(f"no {layouts.SCHEMA} in {schema_path}\nexpected: the schema output of schema")
    try:
        schema = text_format.Parse(path.read_text(), schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigurationError(f"the schema {path} cannot be parsed: {error}") from error
    if schema.default_environment and environment not in schema.default_environment:
        raise ConfigurationError(
            f"the schema {_schema_name(schema_path)} declares no environment {environment!r}\n"
            f"expected: one of {list(schema.default_environment)}\n"
            f"fix: add `default_environment: {environment!r}` to it, or correct the environment"
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
    summary = Path(schema_path) / layouts.SUMMARY
    curated: Sequence[str] = (layouts.read_json(summary).get("schema_file"),) if summary.is_file() else ()
    return next((name for name in curated if name), str(Path(schema_path) / layouts.SCHEMA))
