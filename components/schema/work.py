"""Puts the schema that the data is held against next to it: the curated one, or one inferred."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_ct.base import task_log
from kfp_ct.base.errors import ConfigurationError
from kfp_ct.components.schema import summary
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
    problem = _contradiction(schema)
    if problem:
        raise ConfigurationError(f"the schema {origin} {problem}\nfix: edit {origin}")
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


def _contradiction(schema: schema_pb2.Schema) -> str:
    """Says what TFDV would only stumble over later; empty if nothing."""
    names = [feature.name for feature in schema.feature]
    if not names:
        return "has no feature\nexpected: one `feature { name: … type: … }` for every column"
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"names a feature twice: {', '.join(twice)}\nexpected: one entry a feature"
    return next((problem for feature in schema.feature if (problem := _feature_problem(feature, schema))), "")


def _feature_problem(feature: Any, schema: schema_pb2.Schema) -> str:
    if not feature.name:
        return "has a feature without a name\nexpected: `name: …` in every feature"
    if feature.type == schema_pb2.TYPE_UNKNOWN:
        return f"gives feature {feature.name!r} no type\nexpected: type: INT, FLOAT or BYTES"
    defined = [domain.name for domain in schema.string_domain]
    if feature.WhichOneof("domain_info") == "domain" and feature.domain not in defined:
        return (
            f"gives feature {feature.name!r} the domain {feature.domain!r}, which it does not define\n"
            f"expected: one of {defined}, or `string_domain {{ name: {feature.domain!r} … }}`"
        )
    unknown = sorted({*feature.in_environment, *feature.not_in_environment} - set(schema.default_environment))
    if feature.not_in_environment and unknown:
        return (
            f"takes feature {feature.name!r} out of an environment that it does not declare: {', '.join(unknown)}\n"
            f"expected: default_environment: {unknown[0]!r} at the top"
        )
    return ""
