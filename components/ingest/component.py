"""KFP interface of the ingest component."""

from kfp import dsl

from kfp_ct.base import image


@dsl.component(base_image=image.COMPONENTS, install_kfp_package=False)
def ingest(
    sources: dict,
    query: str,
    examples: dsl.Output[dsl.Dataset],
    split: dict,
    window_start: str = "",
    window_end: str = "",
    max_bad_fraction: float = 0.02,
    data_version: str = "",
    options: dict = {},
) -> None:
    """Reads the rows of one time window with SQL and splits them into train and eval.

    Args:
        sources: Table name to a file, glob or folder, local, at s3:// or at gs:// (CSV, Parquet, JSON Lines,
            TFRecord of tf.Example; .gz, .bz2, .xz and .zip CSV, archive.zip/member.csv), or to an object with uri,
            format, null_values, columns (name to SQL type) and csv ({"delimiter": ..., "decimal": ",", "quote": ...,
            "skip_rows": 2, "encoding": "cp1252"}); or {"bigquery": ...} with project.dataset.table or a file of
            BigQuery's SQL, copied by the Storage Read API.
        query: SQL file that selects the examples from those tables; may use @window_start and @window_end.
        examples: The rows as sharded Parquet (or TFRecord) per split, with a manifest.
        split: {"method": "time", "column": ..., "holdout": "1 month"}, {"method": "hash" or "group", "columns":
            [...], "eval_fraction": 0.2}, {"method": "stratified", "label": ..., "eval_fraction": 0.2}, {"method":
            "column", "column": ...}, a column of train and eval, or {"method": "none"}, all rows to be scored. "keys":
            [...] names columns whose values must not be in both splits, "time" (of method column) one whose instants
            to train on must be the earlier ones.
        window_start: First instant of the window (ISO 8601), or "last 90 days" (hours, weeks, months, years) before its
            end; empty for no bound.
        window_end: First instant after the window (ISO 8601); empty for no bound, or for the start of the day (UTC; of
            the hour for hours) that the step runs on where the start is such a span.
        max_bad_fraction: The run stops if more than this share of a source's rows cannot be read.
        data_version: Fingerprint of the sources; a cached result is used only while it stays the same.
        options: {"engine": "bigquery"} runs the query itself there, without sources. "bigquery": {"project": ...,
            "location": ..., "max_bytes_billed": 1e11, "labels": {...}} says who pays and how much at most.
            {"format": "tfrecord"} writes gzipped TFRecord files of tf.Example, named as TFX names them.
    """
    from kfp_ct.base.errors import reported
    from kfp_ct.components.ingest import work

    with reported():
        request = work.IngestRequest(sources, query, split, window_start, window_end, max_bad_fraction, options)
        examples.metadata.update(work.ingest(request, examples.path))
