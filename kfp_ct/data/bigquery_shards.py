"""Tables of BigQuery that are shards of one, such as events_20240229: which of them are read, by span."""

from kfp_ct.cloud import bigquery
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.data.tables import spans


def tables(reference: str, wanted: str, access: Access) -> list[str]:
    """Returns the tables that a reference names: itself, or shards, lowest span first.

    Args:
        reference: `project.dataset.table`; its table may have fields such as `{SPAN}` or `{YYYY}{MM}{DD}`.
        wanted: Which spans; see `kfp_ct.data.tables.spans`.
        access: Who asks.

    Raises:
        ConfigurationError: The dataset may not be read.
        DataError: There is no such dataset, or no shard of these spans.
    """
    if not spans.has_fields(reference):
        return [reference]
    dataset = reference.rpartition(".")[0]
    there = [f"{dataset}.{name}" for name in bigquery.table_names(dataset, access)]
    return [table for each in spans.choose(reference, there, wanted) for table in each.files]
