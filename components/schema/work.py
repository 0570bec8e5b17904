"""Puts the schema that the data is held against next to it: the curated one, or one inferred."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.schema import curated, summary
from kfp_ct.data import layouts, user_code


def write_schema(statistics_path: str, output_path: str, schema_file: str) -> dict[str, Any]:
    """Writes `schema.pbtxt` and `summary.json`.

    Args:
        statistics_path: `FeatureStats.pb` per split; only read to infer a schema.
        output_path: Folder of the schema artifact.
        schema_file: Curated schema in TensorFlow Metadata's text format, copied as it is; empty infers one.

    Returns:
        Metadata of the artifact: the number of features and whether the schema is curated.

    Raises:
        ConfigurationError: The curated schema is missing, cannot be parsed or contradicts itself.
        DataError: There are no statistics of the train split to infer from.
    """
    if schema_file:
        text = user_code.read_text(schema_file, "schema")
        schema = parse(text, schema_file)
    else:
        # TFDV takes seconds to import, which a curated schema need not pay.
        from kfp_ct.components.schema import inference

        schema = inference.infer(statistics_path)
        text = text_format.MessageToString(schema)
    layouts.write_text(Path(output_path) / layouts.SCHEMA, text)
    report = summary.describe(schema, schema_file)
    layouts.write_json(Path(output_path) / layouts.SUMMARY, report)
    origin = f"from {schema_file}" if schema_file else "inferred from the train split"
    task_log.summary(f"{len(report['features'])} features, {report['domains']} closed domains, {origin}")
    return {"features": len(report["features"]), "curated": bool(schema_file)}


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
