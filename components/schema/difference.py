"""What a curated schema says otherwise than the data: feature by feature, against the schema inferred from it."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2

_MOST_VALUES = 20


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference of one feature: what the curated schema says, and what was inferred; empty for nothing."""

    feature: str
    aspect: str  # feature, type, presence, values or domain
    curated: str
    inferred: str


def between(curated: schema_pb2.Schema, inferred: schema_pb2.Schema) -> list[Difference]:
    """Compares two schemas: features, types, presence, values a row, and domains."""
    given, found = ({feature.name: feature for feature in schema.feature} for schema in (curated, inferred))
    rows: list[Difference] = []
    for name in dict.fromkeys([*given, *found]):
        if name not in found:
            rows.append(Difference(name, "feature", _type(given[name]), ""))
        elif name not in given:
            rows.append(Difference(name, "feature", "", _type(found[name])))
        else:
            rows += _of_feature(name, (given[name], curated), (found[name], inferred))
    return rows


def headline(rows: Sequence[Difference]) -> str:
    """Returns the differences in a few words."""
    names = list(dict.fromkeys(row.feature for row in rows))
    if not names:
        return "the data is as it says"
    listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} feature{'s' if len(names) > 1 else ''} inferred otherwise: {listed}"


def _of_feature(name: str, curated: tuple[Any, Any], inferred: tuple[Any, Any]) -> Iterator[Difference]:
    (given, schema), (found, seen) = curated, inferred
    aspects = {
        "type": (_type(given), _type(found)),
        "presence": (_presence(given), _presence(found)),
        "values": (_values(given), _values(found)),
    }
    for aspect, (left, right) in aspects.items():
        if left != right:
            yield Difference(name, aspect, left, right)
    yield from _domains(name, _vocabulary(given, schema), _vocabulary(found, seen))


def _domains(name: str, given: list[str] | None, found: list[str] | None) -> Iterator[Difference]:
    if given is None and found is None:
        return
    if given is None or found is None:
        yield Difference(name, "domain", _listed(given), _listed(found))
        return
    unseen, unknown = (sorted(set(one) - set(other)) for one, other in ((given, found), (found, given)))
    if unseen or unknown:
        yield Difference(name, "domain", _only(unseen), _only(unknown))


def _vocabulary(feature: Any, schema: Any) -> list[str] | None:
    """Returns the values of a closed domain; None where any text may come."""
    kind = feature.WhichOneof("domain_info")
    if kind == "string_domain":
        return list(feature.string_domain.value)
    if kind == "domain":
        return next((list(domain.value) for domain in schema.string_domain if domain.name == feature.domain), [])
    return None


def _listed(values: list[str] | None) -> str:
    return "any" if values is None else f"{len(values)} values"


def _only(values: list[str]) -> str:
    return f"alone: {', '.join(values[:_MOST_VALUES])}{', …' if len(values) > _MOST_VALUES else ''}" if values else ""


def _type(feature: Any) -> str:
    return schema_pb2.FeatureType.Name(feature.type).lower()


def _presence(feature: Any) -> str:
    if not feature.HasField("presence"):
        return "any"
    presence = feature.presence
    return f"at least {100 * presence.min_fraction:g} % of the rows" if presence.min_fraction else _count(presence)


def _count(presence: Any) -> str:
    return "some rows" if presence.min_count else "any"


def _values(feature: Any) -> str:
    """Returns how many values a row has: one, a shape, or a range."""
    if feature.HasField("shape"):
        sizes = [dim.size for dim in feature.shape.dim]
        return "one a row" if sizes in ([], [1]) else f"shape {sizes}"
    if not feature.HasField("value_count"):
        return "one a row"
    low, high = feature.value_count.min, feature.value_count.max
    if (low, high) in ((1, 1), (0, 1)):
        return "one a row"
    return f"{low} to {high} a row" if high else f"{low} or more a row"
