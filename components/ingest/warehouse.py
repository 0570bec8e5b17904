"""Sources in BigQuery: a table, or a query in a file that ends in .sql."""

import dataclasses
import re
from pathlib import Path

from kfp_ct.cloud import bigquery
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest import query
from kfp_ct.components.ingest.query import Query, Window

# Strings (BigQuery's escape with a backslash), quoted names, comments and @@system_variables are passed over.
_TOKEN = re.compile(
    r'''\'\'\'.*?\'\'\' | """.*?""" | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `[^`]*` | --[^\n]* | \#[^\n]*
    | /\*.*?\*/ | @@\w+ | @(?P<name>[A-Za-z_]\w*)''',
    re.DOTALL | re.VERBOSE,
)


@dataclasses.dataclass(frozen=True)
class Warehouse:
    """BigQuery as this run may use it."""

    access: Access
    window: Window

    def query(self, reference: str) -> Query | None:
        """Returns a source's query with the bounds of the window that it uses; None where the source is a table.

        Raises:
            ConfigurationError: There is no such file, or it names an unknown parameter.
        """
        if not reference.endswith(".sql"):
            return None
        return query.bind_window(reference, self.window, _TOKEN, "@{}")

    def fetch(self, reference: str, folder: Path) -> list[Path]:
        """Copies a source to Parquet files.

        Raises:
            ConfigurationError: It is not valid, not allowed, or would read more than allowed.
            DataError: It is not there.
        """
        if asked := self.query(reference):
            return bigquery.read_query(reference, asked.sql, asked.parameters, self.access, folder)
        return bigquery.read_table(reference, self.access, folder)
