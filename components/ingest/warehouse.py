"""Sources in BigQuery: a table, or a query in a file that ends in .sql."""

import dataclasses
import re
from pathlib import Path

from kfp_ct.cloud import bigquery
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest import query
from kfp_ct.components.ingest.query import Query, Window
from kfp_ct.data import bigquery_shards
from kfp_ct.data.tables.files import FoundFile

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

    def fetch(self, reference: str, folder: Path, wanted: str = "") -> list[FoundFile]:
        """Copies a source to Parquet files, each with the name of its table.

        Args:
            reference: A table, shards such as `project.dataset.events_{SPAN}`, or a file of a query.
            folder: Folder of the files; it is made.
            wanted: Which spans of shards; see `kfp_ct.data.tables.spans`.

        Raises:
            ConfigurationError: It is not valid, not allowed, or would read more than allowed.
            DataError: It is not there.
        """
        if asked := self.query(reference):
            read = bigquery.read_query(reference, asked.sql, asked.parameters, self.access, folder)
            return [FoundFile(path, reference) for path in read]
        found = []
        for table in bigquery_shards.tables(reference, wanted, self.access):
            paths = bigquery.read_table(table, self.access, folder / table)
            found += [FoundFile(path, table.rpartition(".")[2]) for path in paths]
        return found
