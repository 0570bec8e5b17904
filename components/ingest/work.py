"""Rows of one time window, by SQL over files, split into train and eval, as sharded Parquet."""

# ruff: noqa: S608 - SQL is put together from quoted names and literals (quoting.identifier, quoting.literal)

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from kfp_ct.base import setting_problems, task_log
from kfp_ct.base.errors import ComponentError, DataError
from kfp_ct.components.ingest import (
    casts,
    feature_store,
    leaks,
    nested,
    precision,
    query,
    settings,
    shards,
    sources,
    splits,
)  # fmt: skip
from kfp_ct.components.ingest.warehouse import Warehouse
from kfp_ct.data import layouts
from kfp_ct.data.layouts import EVAL, TRAIN
from kfp_ct.data.tables import column_types, database
from kfp_ct.data.tables.column_types import Stored
from kfp_ct.data.tables.quoting import identifier
from kfp_ct.data.tables.reading import Loaded

# The table that holds the result of a query that BigQuery ran.
RESULT = "bigquery_result"


@dataclasses.dataclass(frozen=True)
class IngestRequest:
    """What is asked of ingest; see the component's arguments."""

    sources: Mapping[str, Any]
    query: str
    split: Mapping[str, Any]
    window_start: str = ""
    window_end: str = ""
    max_bad_fraction: float = 0.02
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A request whose every part was checked, before any data is read."""

    request: IngestRequest
    settings: settings.Parameters
    sources: list[sources.NamedSource]
    window: query.Window
    warehouse: Warehouse
    query: query.Query


def ingest(request: IngestRequest, output_path: str | Path) -> dict[str, Any]:
    """Writes the rows of one window as a dataset: `Split-train/`, `Split-eval/` and a manifest, written last.

    Args:
        request: What to read.
        output_path: Folder of the dataset; what an earlier try left there is removed.

    Returns:
        The artifact's metadata: rows per split, fingerprint, rejected rows.

    Raises:
        ConfigurationError: A part of the request, or the query, does not fit.
        DataError: Files are missing, too many rows cannot be read, or a split is empty.
    """
    plan = _plan(request)
    with _folders(Path(output_path)) as (root, scratch), database.open_database(scratch) as connection:
        loaded = _load(connection, plan, scratch)
        sources.require_readable(connection, loaded, request.max_bad_fraction, root)
        readable = [file for source in loaded.values() for file in source.files]
        database.close_to_other_files(connection, root, readable)
        columns = _select(connection, plan)
        found = feature_store.require_found(connection, plan.settings.options.features, columns)
        shapes = nested.shapes(connection, columns)
        _require_splits(connection, plan)
        leak_check = leaks.check(connection, plan.settings.split, columns)
        layout = shards.Layout(splits.names(plan.settings.split), plan.settings.options.format)
        manifest = layouts.Manifest(
            splits=shards.write(connection, root, columns, layout),
            columns={name: column.kind for name, column in columns.items()},
            fingerprint=shards.fingerprint(connection, columns),
            sources={source.name: source.origin for source in plan.sources},
            window=plan.window.to_json(),
            split_by=dict(request.split),
            format=plan.settings.options.format,
            rejected_rows=sum(source.rejected for source in loaded.values()),
            null_marks={name: dict(source.null_marks) for name, source in loaded.items() if source.null_marks},
            shapes=shapes,
        )
        return _finish(root, manifest, loaded, {"leak_check": leak_check} | ({"features": found} if found else {}))


def _plan(request: IngestRequest) -> Plan:
    asked = setting_problems.read(settings.Parameters, dataclasses.asdict(request), "")
    window = query.parse_window(request.window_start, request.window_end)
    warehouse = Warehouse(asked.options.bigquery, window)
    if asked.options.engine == settings.BIGQUERY:
        # The query that BigQuery runs is the only source.
        found = [sources.NamedSource(name=RESULT, bigquery=request.query)]
        selected = query.Query(request.query, f"SELECT * FROM {RESULT}", {})
    else:
        found, selected = sources.named(asked.sources), query.read(request.query, window)
    remote = [bound for source in found if (bound := warehouse.query(source.bigquery))]
    query.require_window([*remote, selected], window)
    return Plan(request, asked, found, window, warehouse, selected)


@contextlib.contextmanager
def _folders(output: Path) -> Iterator[tuple[Path, Path]]:
    """Gives an empty output folder and a scratch folder on the same disk that is gone afterwards."""
    root = output.absolute()
    scratch = root.with_name(f".{root.name}.ingest")
    try:
        # The manifest goes first: without it nobody takes what is left for a dataset.
        (root / layouts.MANIFEST).unlink(missing_ok=True)
        for folder in (root, scratch):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        yield root, scratch
    except (OSError, duckdb.IOException) as error:
        raise ComponentError(
            f"ingest cannot write to {root}: {database.first_line(error)}\n"
            "expected: a folder that can be written to, with room for the data twice over\n"
            "fix: free disk space, or correct the folder's permissions"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _load(connection: duckdb.DuckDBPyConnection, plan: Plan, scratch: Path) -> dict[str, Loaded]:
    loaded = {}
    for source in plan.sources:
        loaded[source.name] = found = sources.load(connection, source, scratch, plan.warehouse)
        task_log.progress(f"{source.name}: {found.rows:,} rows read, {found.rejected:,} rejected")
    return loaded


def _select(connection: duckdb.DuckDBPyConnection, plan: Plan) -> dict[str, Stored]:
    selected = query.require_select(connection, plan.query)
    selected, types = feature_store.join(connection, plan.settings.options.features, selected)
    casts.require_offsets_kept(connection, selected, [source.name for source in plan.sources])
    columns = {name: column_types.stored(name, identifier(name), type_name) for name, type_name in types.items()}
    split = splits.expression(plan.settings.split, splits.Columns(types, columns), plan.window.end)
    if isinstance(plan.settings.split, settings.ColumnSplit):
        del columns[plan.settings.split.column]
    try:
        shards.select(connection, shards.Selection(selected.sql, selected.parameters, columns, split))
    except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
        raise query.query_error(selected, error) from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        raise _unfit_value(connection, selected, columns, error) from error
    if not shards.count(connection):
        raise query.no_rows_error(connection, selected, plan.window, types)
    precision.require_whole_numbers(connection, selected, columns)
    precision.require_differences(connection, selected, columns)
    return columns


def _unfit_value(
    connection: duckdb.DuckDBPyConnection, selected: query.Query, columns: Mapping[str, Stored], error: duckdb.Error
) -> DataError:
    """Returns the error for a value that a conversion refused: the column's overflow, or the query's own cast."""
    for name, column in columns.items():
        overflows = f"{identifier(name)} IS NOT NULL AND TRY({column.expression}) IS NULL"
        if column.narrows and (example := precision.example(connection, selected, name, overflows)):
            return DataError(
                f"{selected.file}: column {name} holds {example}, which is too large for a {column.kind} column\n"
                f"expected: numbers that fit {'int64' if column.kind.startswith('int') else 'float32'}\n"
                f"fix: scale, cap or cast {name} in the query, or leave out the row"
            )
    return DataError(
        f"{selected.file} fails on a value: {database.first_line(error)}\n"
        "expected: casts and sums that hold for every row\nfix: use TRY_CAST, or leave out such rows in the query"
    )


def _require_splits(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    rows, wanted = shards.count(connection), splits.names(plan.settings.split)
    if valueless := rows.pop(None, 0):
        raise DataError(
            f"{valueless:,} rows have no value in the split's column {plan.request.split['column']}\n"
            f"expected: {'an instant' if splits.time(plan.settings.split) else 'a split'} in every row\n"
            f"fix: leave such rows out in {plan.request.query}"
        )
    if unknown := sorted(str(name) for name in rows.keys() - set(wanted)):
        raise DataError(
            f"the split's column {plan.request.split['column']} holds {', '.join(map(repr, unknown[:5]))}\n"
            f"expected: {TRAIN!r} or {EVAL!r} in every row\n"
            f"fix: name the splits so in {plan.request.query} (CASE … END), and leave other rows out"
        )
    for split in wanted:
        if not rows.get(split):
            raise DataError(
                f"the {split} split is empty: all {sum(rows.values()):,} rows are in the other\n"
                f"expected: rows on both sides of {dict(plan.request.split)}\n"
                "fix: choose another holdout or fraction, or a longer window"
            )


def _finish(
    root: Path, manifest: layouts.Manifest, loaded: Mapping[str, Loaded], checked: Mapping[str, Any]
) -> dict[str, Any]:
    rows = {split.name: split.rows for split in manifest.splits}
    metadata = {"rows": rows, "fingerprint": manifest.fingerprint, "rejected_rows": manifest.rejected_rows}
    read = {
        name: {"rows": source.rows, "rejected": source.rejected, "null_marks": source.null_marks}
        for name, source in loaded.items()
    }
    layouts.write_json(
        root / layouts.SUMMARY,
        {
            **metadata,
            "columns": manifest.columns,
            "window": manifest.window,
            "sources": read,
            **checked,
        },
    )
    layouts.write_manifest(root, manifest)
    _log_leak_check(checked["leak_check"])
    parts = ", ".join(f"{name} {count:,}" for name, count in rows.items())
    task_log.summary(f"{sum(rows.values()):,} rows: {parts}; {manifest.rejected_rows:,} rejected")
    return metadata


def _log_leak_check(leak_check: Mapping[str, Any]) -> None:
    keys = f"no {'/'.join(leak_check['keys'])} of {leak_check['keys_examined']:,} is in both splits"
    time = f"no {leak_check['time']} to train on is after one to evaluate on"
    checks = [text for text, examined in ((keys, leak_check["keys"]), (time, leak_check["time"])) if examined]
    task_log.progress(f"leak check: {'; '.join(checks) or 'not asked for, split.keys names no key'}")
