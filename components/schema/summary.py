"""What reports read of a schema: plain JSON."""

from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

_MOST_VALUES = 100


def describe(schema: schema_pb2.Schema, schema_file: str) -> dict[str, Any]:
    """Summarises a schema.

    Returns:
        schema_file (empty if inferred), environments, domains (how many features have a closed one) and features:
        name, type, presence (min_fraction, min_count; None where unstated), domain (None where any value may
        come) and environments (those it is expected in; empty where the schema declares none).
    """
    features = [_feature(feature, schema) for feature in schema.feature]
    return {
        "schema_file": schema_file,
        "environments": list(schema.default_environment),
        "domains": sum(1 for feature in features if feature["domain"] and "values" in feature["domain"]),
        "features": features,
    }


def _feature(feature: Any, schema: schema_pb2.Schema) -> dict[str, Any]:
    presence = feature.presence
    declared = [*schema.default_environment, *feature.in_environment]
    return {
        "name": feature.name,
        "type": schema_pb2.FeatureType.Name(feature.type).lower(),
        "presence": {
            "min_fraction": presence.min_fraction if presence.HasField("min_fraction") else None,
            "min_count": presence.min_count if presence.HasField("min_count") else None,
        },
        "domain": _domain(feature, schema),
        "environments": [name for name in dict.fromkeys(declared) if name not in feature.not_in_environment],
    }


def _domain(feature: Any, schema: schema_pb2.Schema) -> dict[str, Any] | None:
    kind = feature.WhichOneof("domain_info")
    if kind == "domain":
        return _values(next(domain for domain in schema.string_domain if domain.name == feature.domain))
    if kind == "string_domain":
        return _values(feature.string_domain)
    if kind in ("int_domain", "float_domain"):
        bounds = getattr(feature, kind)
        return {end: getattr(bounds, end) if bounds.HasField(end) else None for end in ("min", "max")}
    return None if kind is None else {"kind": kind}


def _values(domain: Any) -> dict[str, Any]:
    return {"size": len(domain.value), "values": list(domain.value[:_MOST_VALUES])}
