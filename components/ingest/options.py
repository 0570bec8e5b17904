"""What else a user may say of ingest: the engine that runs the query, its access, the format of the examples."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kfp_ct.base.errors import ConfigurationError
from kfp_ct.cloud import bigquery
from kfp_ct.data import layouts

DUCKDB, BIGQUERY = "duckdb", "bigquery"


@dataclasses.dataclass(frozen=True)
class Options:
    """Checked options; see the component's argument."""

    engine: str
    format: str
    bigquery: bigquery.Access


def parse(options: Mapping[str, Any]) -> Options:
    """Checks what users wrote under `options`.

    Raises:
        ConfigurationError: There is an unknown field or value.
    """
    known = {"engine": (DUCKDB, BIGQUERY), "format": (layouts.PARQUET, layouts.TFRECORD)}
    for name, allowed in known.items():
        if options.get(name, allowed[0]) not in allowed:
            raise ConfigurationError(
                f"options.{name} is {options[name]!r}\nexpected: {' or '.join(allowed)}\n"
                f"fix: correct options.{name} in the settings file"
            )
    access = options.get("bigquery", {})
    if (unknown := sorted(options.keys() - {*known, "bigquery"})) or not isinstance(access, Mapping):
        raise ConfigurationError(
            f"options has {', '.join(unknown) or f'bigquery {access!r}'}\n"
            f"expected: {', '.join(known)}, and bigquery, an object\nfix: correct options in the settings file"
        )
    engine, format = (options.get(name, allowed[0]) for name, allowed in known.items())
    return Options(engine, format, bigquery.parse(access))
