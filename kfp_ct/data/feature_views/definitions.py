"""Features as a project defines them, once: its features.yaml, in the words that Feast has for them."""

import zoneinfo
from collections.abc import Iterator
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field

from kfp_ct.base import setting_problems
from kfp_ct.base.settings import Names, Settings, Text, expected, matching, misfit
from kfp_ct.clock.duration_settings import DurationOrNone
from kfp_ct.clock.durations import duration

FILE = "features.yaml"
_ZONE = "a time zone such as UTC or Europe/Berlin"
_NAME = "a name of letters, digits and underscores"


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise misfit(f"expected {_ZONE}") from None
    return name


Name = Annotated[str, matching(r"^[A-Za-z]\w*$", _NAME)]


class Entity(Settings):
    """What features are about, such as an airport, and the columns that name one."""

    name: Name = Field(description="Its name.")
    join_keys: Names = Field(description="Columns of examples and of views that name one.", min_length=1)


class FeatureView(Settings):
    """Features that become known together: rows of entities, with the time from which on each was known."""

    name: Name = Field(description="Its name.")
    entities: Names = Field(description="Whose join keys its rows have.", min_length=1)
    query: Text = Field(
        description="One SELECT over the sources: the join keys, the timestamp and the features of each row."
    )
    timestamp_field: Text = Field(
        description="Column with the time from which on a row's values were known: not when they were measured, if "
        "that was before."
    )
    ttl: DurationOrNone = Field("", description="How long values hold, such as 1h; empty: until there are newer ones.")
    features: Names = Field(description="Its columns that are features.", min_length=1)

    @property
    def seconds(self) -> float | None:
        """How long values hold; None without an end."""
        return duration(self.ttl) if self.ttl else None


class Definitions(Settings):
    """A project's features.yaml."""

    time_zone: Annotated[str, AfterValidator(_zone), expected(_ZONE)] = Field(
        "UTC", description="Zone of the views' timestamps that have none."
    )
    entities: Annotated[tuple[Entity, ...], Field(strict=False)] = Field(description="The entities.", min_length=1)
    feature_views: Annotated[tuple[FeatureView, ...], Field(strict=False)] = Field(
        description="The views.", min_length=1
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says which names mean nothing or two things."""
        known = [entity.name for entity in self.entities]
        for where, names in (("entities", known), ("feature_views", [view.name for view in self.feature_views])):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                yield where, f"more than one is named {', '.join(twice)}"
        for view in self.feature_views:
            if unknown := [name for name in view.entities if name not in known]:
                yield "feature_views", f"{view.name} has the entity {', '.join(unknown)}, which is not among entities"
        features = [name.lower() for view in self.feature_views for name in view.features]
        if twice := sorted({name for name in features if features.count(name) > 1}):
            yield "feature_views", f"more than one feature is named {', '.join(twice)}: expected a name for each"

    def keys(self, view: FeatureView) -> tuple[str, ...]:
        """Returns the join keys of a view."""
        of = {entity.name: entity.join_keys for entity in self.entities}
        return tuple(dict.fromkeys(key for name in view.entities for key in of[name]))


def problems(text: str) -> Iterator[str]:
    """Says everything that is wrong with the text of a features.yaml."""
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield f"this is no YAML: {' '.join(str(error).split())}"
        return
    if not isinstance(value, dict):
        yield "expected entities and feature_views"
        return
    yield from map(str, setting_problems.problems(Definitions, value))


def parse(text: str) -> Definitions:
    """Reads the text of a features.yaml.

    Raises:
        ConfigurationError: It does not fit.
    """
    return setting_problems.read(Definitions, yaml.safe_load(text), FILE)
