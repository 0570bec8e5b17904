"""How BigQuery may be used: described apart from its client, which takes a second to import."""

from typing import ClassVar

from pydantic import Field

from kfp_ct.base.settings import Count, Settings

# What one query or table may cost to read, where the settings do not say: about 0.6 dollars on demand.
MAX_BYTES = 100 * 10**9


class Access(Settings):
    """Who pays for BigQuery, where, how much at most, and under which labels."""

    # How messages call these settings.
    section: ClassVar[str] = "options.bigquery"

    project: str = Field("", description="Project that jobs run in; empty for the credentials' own.")
    location: str = Field("", description="Location of the data; empty lets BigQuery find out.")
    max_bytes_billed: Count = Field(MAX_BYTES, description="Nothing that would read more is run.")
    labels: dict[str, str] = Field({}, description="Labels of jobs, beside our own.")
