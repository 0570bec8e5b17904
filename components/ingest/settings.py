"""The settings of ingest: sources, the split, the window, and by which engine in which format."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kfp_ct.base.settings import Count, Fraction, Names, NamesText, Settings, Text, Texts, expected, misfit
from kfp_ct.clock import window_settings
from kfp_ct.cloud.bigquery_access import Access
from kfp_ct.components.ingest import sql_text
from kfp_ct.data.feature_views import definitions
from kfp_ct.data.layouts import EVAL, PREDICT, TRAIN
from kfp_ct.data.tables import column_types, spans
from kfp_ct.data.tables.csv_settings import Csv

DUCKDB, BIGQUERY = "duckdb", "bigquery"
NO_SPLIT = "none"
_HOLDOUT = re.compile(r"[1-9]\d* (minute|hour|day|week|month|quarter|year)s?")


class Features(Settings):
    """Features that are joined to the query's rows as they were known then: the views of a features.yaml."""

    file: Annotated[Text, NamesText("feature views", definitions.problems)] = Field(
        description="The project's features.yaml."
    )
    timestamp: Text = Field(description="Column of the query with the time at which a row's features must be known.")


class Options(Settings):
    """By which engine the query is run, and how the examples are written."""

    engine: Literal["duckdb", "bigquery"] = Field(
        "duckdb",
        description="duckdb runs the query over the sources; bigquery runs it itself, over its own tables, without "
        "sources.",
    )
    format: Literal["parquet", "tfrecord"] = Field(
        "parquet",
        description="Files of the examples: Parquet, or gzipped TFRecord of tf.Example, named as TFX names them.",
    )
    bigquery: Access = Field(Access(), description="Who pays for BigQuery, and how much at most.")
    features: Features | None = Field(None, description="Features of a feature store, beside the query's columns.")


def _sql_type(declared: str) -> str:
    name = column_types.normalized(declared)
    if not name:
        raise misfit(f"expected {column_types.READABLE}")
    return name


SqlType = Annotated[str, AfterValidator(_sql_type), expected(column_types.READABLE)]


def _spans(text: str) -> str:
    plain = " ".join(text.lower().split())
    if plain and not spans.WANTED.fullmatch(plain):
        raise misfit(f"expected {spans.EXPECTED}")
    return plain


Spans = Annotated[str, AfterValidator(_spans), expected(spans.EXPECTED)]


class Source(Settings):
    """Where a table's rows come from: files, or BigQuery."""

    uri: str = Field(
        "",
        description="A file, glob or folder, local, at s3:// or at gs://: CSV (.gz, .bz2, .xz and .zip, too; "
        "archive.zip/member.csv is one member), Parquet, JSON Lines, TFRecord of tf.Example.",
    )
    spans: Spans = Field(
        "",
        description="Which spans of a uri with {SPAN} or {YYYY}/{MM}/{DD} (and {VERSION}), or of BigQuery's shards, "
        "are read: latest, last 3 (the newest and the two numbers before it), 7, 3 to 7, or all; empty: the latest. "
        "Of a span the last version.",
    )
    file_column: str = Field(
        "",
        description="Name of a column that holds the file a row came from: its path below the folder that the uri "
        "names before its first wildcard or field, or the table of a BigQuery shard. Empty for none.",
    )
    hive_partitions: bool = Field(
        True,
        description="Whether folders such as year=2013 below that folder are columns: whole numbers, days, else texts.",
    )
    format: Literal["", "csv", "parquet", "jsonl", "tfrecord"] = Field(
        "", description="Format of the files; empty: what their names say."
    )
    null_values: Texts = Field((), description="Texts that stand for a missing value, in CSV and JSON Lines.")
    columns: dict[str, SqlType] = Field(
        {}, description="SQL types of columns of CSV and JSON Lines; others are those of all values of all files."
    )
    csv: Csv = Field(Csv(), description="How CSV files are written, where that cannot be seen from them.")
    bigquery: Annotated[str, NamesText("query", suffix=".sql")] = Field(
        "",
        description="In place of uri: project.dataset.table, shards such as project.dataset.events_{YYYY}{MM}{DD}, or "
        "a file of BigQuery's SQL that ends in .sql.",
    )

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what cannot be said together."""
        if bool(self.uri) == bool(self.bigquery):
            yield "uri", "expected either it or bigquery"
        for name, text in (("uri", self.uri), ("bigquery", self.bigquery)):
            if problem := spans.problem(text):
                yield name, problem
        if self.spans and not spans.has_fields(self.uri or self.bigquery):
            yield "spans", "the uri has no {SPAN} and no {YYYY}/{MM}/{DD} that it could choose by"
        if self.file_column and self.bigquery and not spans.has_fields(self.bigquery):
            yield "file_column", "a table or a query of BigQuery has no files; shards such as events_{SPAN} have names"
        if self.bigquery and (self.format or self.null_values or self.columns or self.csv != Csv()):
            yield "bigquery", "beside it nothing is taken: BigQuery's columns have types"
        elif self.format not in ("", "csv") and self.csv != Csv():
            yield "csv", f"it is for CSV, not for {self.format}"
        elif self.format in ("parquet", "tfrecord") and (self.columns or self.null_values):
            name = "columns" if self.columns else "null_values"
            yield name, f"it is for CSV and JSON Lines, {self.format} has its own types"

    @property
    def origin(self) -> str:
        """Where the rows come from, for people."""
        return f"bigquery:{self.bigquery}" if self.bigquery else self.uri


def _uri_alone(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


NamedOrUri = Annotated[Source, BeforeValidator(_uri_alone, json_schema_input_type=Text | Source)]


def _holdout(text: str) -> str:
    plain = text.strip().lower()
    if not _HOLDOUT.fullmatch(plain):
        raise misfit("expected such as 1 month (minutes, hours, days, weeks, months, quarters, years)")
    return plain


def _split_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text) or text == PREDICT:
        raise misfit("expected a name of lower-case letters, digits and underscores, other than predict")
    return text


SplitName = Annotated[str, AfterValidator(_split_name), expected("a name such as test")]
Share = Annotated[float, Field(gt=0, lt=1, description="Share of the rows that evaluate.")]
Keys = Annotated[Names, Field(description="Columns whose values, together, must not be in two splits.")]


class TimeSplit(Settings):
    """The newest rows evaluate: those of the last `holdout` before the window's end."""

    method: Literal["time"]
    column: Text = Field(description="A DATE or TIMESTAMP column of the query's result.")
    holdout: Annotated[str, AfterValidator(_holdout), expected("such as 1 month")] = Field(
        description="How much before the window's end evaluates, such as 1 month."
    )
    keys: Keys = ()


class HashSplit(Settings):
    """A fixed share of keys evaluates: a key, with all its rows, is on the same side in every run and window."""

    method: Literal["hash", "group"]
    columns: Names = Field((), description="Integer or text columns that are the key; none, by hash: the whole row.")
    eval_fraction: float | None = Field(None, gt=0, lt=1, description="Share of the rows that evaluate.")
    splits: dict[SplitName, Count] = Field(
        {},
        description="In place of eval_fraction: parts of the rows by split, such as {train: 8, eval: 1, test: 1}. "
        "train and eval are among them; others are held out of training and evaluation.",
    )
    keys: Annotated[Names, Field(description="Columns to check in place of those.")] = ()

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says what cannot be said together."""
        if self.method == "group" and not self.columns:
            yield "columns", "expected the columns that make a group"
        if (self.eval_fraction is None) == (not self.splits):
            yield "eval_fraction", "expected either it or splits"
        if self.splits and not {TRAIN, EVAL} <= self.splits.keys():
            yield "splits", "expected train and eval among them"


class StratifiedSplit(Settings):
    """Of every label's rows the same share evaluates, to half a row: those whose content has the lowest hashes."""

    method: Literal["stratified"]
    label: Text = Field(description="Column of the labels.")
    eval_fraction: Share
    keys: Keys = ()


class ColumnSplit(Settings):
    """A column says `train` or `eval`. It is not written: no model must see it."""

    method: Literal["column"]
    column: Text = Field(description="The column.")
    keys: Keys = ()
    time: str = Field("", description="Column of which all instants to train on must be before those to evaluate on.")


class NoSplit(Settings):
    """No row trains or evaluates: all are to be scored."""

    method: Literal["none"]


Split = TimeSplit | HashSplit | StratifiedSplit | ColumnSplit | NoSplit


class Parameters(Settings):
    """The parameters of ingest."""

    sources: dict[Text, NamedOrUri]
    query: Annotated[Text, NamesText("query", sql_text.nothing)]
    split: Annotated[Split, Field(discriminator="method")]
    window_start: window_settings.Start
    window_end: window_settings.Instant
    max_bad_fraction: Fraction
    options: Options

    @classmethod
    def without_splits(cls, given: Mapping[str, Any]) -> tuple[tuple[str, ...], str] | None:
        """Says that all rows are to be scored, where the split says so."""
        split = given.get("split")
        if not isinstance(split, Mapping) or split.get("method") != NO_SPLIT:
            return None
        return ("split", "method"), f'"{NO_SPLIT}": it leaves no rows to train on or to evaluate'

    @classmethod
    def made_splits(cls, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the splits that the rows are divided into."""
        split = given.get("split")
        named = split.get("splits") if isinstance(split, Mapping) else None
        return tuple(named) if isinstance(named, Mapping) and named else (TRAIN, EVAL)

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Says which parameters do not fit together."""
        yield from window_settings.conflicts(self.window_start, self.window_end)
        if self.options.engine == DUCKDB and not self.sources:
            yield "sources", "none is given; expected {table name: URI}"
        if self.options.engine == BIGQUERY and self.sources:
            named = ", ".join(self.sources)
            fix = "leave sources empty, or leave out the option engine and name a source {bigquery: …}"
            yield "sources", f"{named} cannot be used, the query runs in BigQuery over its own tables; {fix}"
        if self.options.engine == BIGQUERY and self.options.features:
            yield "options", "features are joined by DuckDB, over sources: expected no engine beside them"
        if self.options.engine == BIGQUERY and not self.query.endswith(".sql"):
            yield "query", f"{self.query} is not a file that ends in .sql, which BigQuery's engine expects"

    def conflicts_with_texts(self, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Says what a query of DuckDB's lacks, or uses that is not there."""
        text = texts.get("query", "")
        if self.options.engine != DUCKDB or not text or list(sql_text.nothing(text)):
            return
        found = [*sql_text.unknown_parameters(text), *sql_text.unread(text, self.sources)]
        yield from (("query", f"{self.query}: {each}") for each in found)
        if any(source.bigquery.endswith(".sql") for source in self.sources.values()):
            return  # whose queries may be the ones that use the window
        for name in sql_text.PARAMETERS:
            if getattr(self, name).strip() and name not in sql_text.parameters(text):
                yield name, f"{self.query} does not use it: expected a condition on @{name}, or no {name}"
