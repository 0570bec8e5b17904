"""A curated schema as far as it can be judged without data and TensorFlow: before anything runs."""

from collections.abc import Iterator
from typing import Any

from kfp_ct.base.setting_problems import nearest
from kfp_ct.data import message_texts

_UNKNOWN = 0  # FeatureType.TYPE_UNKNOWN


def problems(text: str) -> Iterator[str]:
    """Says everything that is wrong with the text of a schema."""
    try:
        schema = message_texts.parse(text, message_texts.SCHEMA)
    except ValueError as error:
        yield f"this is no schema in TensorFlow Metadata's text format: {error}"
        return
    yield from contradictions(schema)


def contradictions(schema: Any) -> Iterator[str]:
    """Says what TFDV would only stumble over later, in words that go on after the schema's name and a colon."""
    names = [feature.name for feature in schema.feature]
    if not names:
        yield "it has no feature: expected one `feature { name: … type: … }` for every column"
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        yield f"it names a feature twice: {', '.join(twice)}; expected one entry a feature"
    for feature in schema.feature:
        yield from _of_feature(feature, schema)


def _of_feature(feature: Any, schema: Any) -> Iterator[str]:
    if not feature.name:
        yield "it has a feature without a name: expected `name: …` in every feature"
    if feature.type == _UNKNOWN:
        yield f"it gives feature {feature.name!r} no type: expected type: INT, FLOAT or BYTES"
    defined = [domain.name for domain in schema.string_domain]
    if feature.WhichOneof("domain_info") == "domain" and feature.domain not in defined:
        near = nearest(feature.domain, defined) or f"expected `string_domain {{ name: {feature.domain!r} … }}`"
        yield f"it gives feature {feature.name!r} the domain {feature.domain!r}, which it does not define; {near}"
    for name in sorted(set(feature.not_in_environment) - set(schema.default_environment)):
        yield (
            f"it takes feature {feature.name!r} out of an environment that it does not declare: {name}; "
            f"expected default_environment: {name!r} at the top"
        )
