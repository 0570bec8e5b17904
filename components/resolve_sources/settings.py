"""The settings of resolve_sources."""

from typing import Any

from kfp_ct.base.settings import Settings


class Parameters(Settings):
    """The parameters of resolve_sources; what is in the two dicts is described by ingest."""

    sources: dict[str, Any]
    options: dict[str, Any]
