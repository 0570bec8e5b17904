"""Puts the schema that the data is held against next to it: the curated one, or one inferred."""

import dataclasses
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.schema import curated, difference, summary
from kfp_ct.data import layouts, user_code


def write_schema(statistics_path: str, output_path: str, schema_file: str) -> dict[str, Any]:
    """Writes `schema.pbtxt` and `summary.json`; beside a curated schema, `inferred.pbtxt` and how they differ.

    Args:
        statistics_path: `FeatureStats.pb` per split, to infer a schema from.
        output_path: Folder of the schema artifact.
        schema_file: Curated schema in TensorFlow Metadata's text format, copied as it is; empty infers one.

    Returns:
        Metadata of the artifact: the number of features and whether the schema is curated.

    Raises:
        ConfigurationError: The curated schema is missing, cannot be parsed or contradicts itself.
        DataError: There are no statistics of the train split to infer from.
    """
    # TFDV takes seconds to import, which a curated schema without statistics need not pay.
    inferred = _infer(statistics_path) if not schema_file or _has_statistics(statistics_path) else None
    if schema_file:
        text = user_code.read_text(schema_file, "schema")
        schema = parse(text, schema_file)
    else:
        assert inferred is not None  # noqa: S101 - without a file it is always inferred
        schema, text = inferred, text_format.MessageToString(inferred)
    layouts.write_text(Path(output_path) / layouts.SCHEMA, text)
    report = summary.describe(schema, schema_file)
    origin = "inferred from all splits"
    if schema_file:
        origin = f"from {schema_file}"
        if inferred is not None:
            layouts.write_text(Path(output_path) / layouts.INFERRED_SCHEMA, text_format.MessageToString(inferred))
            rows = difference.between(schema, inferred)
            report["difference"] = [dataclasses.asdict(row) for row in rows]
            origin += f"; {difference.headline(rows)}"
    layouts.write_json(Path(output_path) / layouts.SUMMARY, report)
    task_log.summary(f"{len(report['features'])} features, {report['domains']} closed domains, {origin}")
    return {"features": len(report["features"]), "curated": bool(schema_file)}


def _has_statistics(statistics_path: str) -> bool:
    return (layouts.split_path(statistics_path, layouts.TRAIN) / layouts.STATISTICS_FILE).is_file()


def _infer(statistics_path: str) -> schema_pb2.Schema:
    from kfp_ct.components.schema import inference

    return inference.infer(statistics_path)


def parse(text: str, origin: str) -> schema_pb2.Schema:
    """Parses a schema in text format and checks that it can be validated against.

    Raises:
        ConfigurationError: It cannot be parsed (the line is named), has no feature, names one twice, or refers
            to a domain that it does not define.
    """
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigurationError(_parse_error(text, origin, error)) from error
    if found := list(curated.contradictions(schema)):
        listed = "\n".join(f"the schema {origin}: {each}" for each in found)
        raise ConfigurationError(f"{listed}\nfix: edit {origin}")
    return schema


def _parse_error(text: str, origin: str, error: text_format.ParseError) -> str:
    number = error.GetLine() or 0
    lines = text.splitlines()
    shown = f"\nfound: {lines[number - 1].strip()}" if 0 < number <= len(lines) else ""
    what = str(error).split(" : ", 1)[-1].strip()
    return (
        f"the schema {origin} cannot be parsed, line {number}: {what}{shown}\n"
        "expected: a tensorflow.metadata.v0.Schema in text format\n"
        f"fix: correct the line, or take `schema_file` out of the settings to have a schema inferred"
    )
