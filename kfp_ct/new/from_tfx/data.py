"""ExampleGen: where the rows come from, by which query, and which of them train."""

# ruff: noqa: S608 - SQL is put together from names of splits and columns, quoted

import csv
import glob
import re
from pathlib import Path
from typing import Any

from kfp_ct.data.layouts import EVAL, TRAIN
from kfp_ct.data.tables.quoting import identifier, literal
from kfp_ct.new.from_tfx.draft import DIFFERS, SAME, Draft
from kfp_ct.new.from_tfx.inspected import Node

TABLE, SPLIT = "examples", "ct_split"
# Executors of ExampleGens that read files, and the format of those.
_FORMATS = {"csv_example_gen": "csv", "import_example_gen": "tfrecord", "parquet_executor": "parquet"}
_WANTED_KINDS = "expected CSV, TFRecord of tf.Example, Parquet or BigQuery"
_SPAN = re.compile(r"\{(SPAN|YYYY|MM|DD|VERSION)[^}]*\}")
_TYPES = {"INT": "BIGINT", "FLOAT": "DOUBLE", "BYTES": "VARCHAR"}


def draw(draft: Draft, node: Node) -> None:
    """Draws up sources, query and split of an ExampleGen."""
    if "BigQueryExampleGen" in node.bases:
        _bigquery(draft, node)
    elif form := next((form for name, form in _FORMATS.items() if name in node.executor), ""):
        _files(draft, node, form)
    else:
        draft.block(node.id, node.kind, f"rows of {node.executor or node.kind} cannot be read; {_WANTED_KINDS}")


def read_types(draft: Draft, schema_text: str) -> None:
    """Gives columns of CSV the types of a schema that comes with the pipeline, as far as files here have them."""
    from kfp_ct.data import message_texts

    try:
        features = message_texts.parse(schema_text, message_texts.SCHEMA).feature
    except ValueError:
        return  # said of the schema
    names = {1: "BYTES", 2: "INT", 3: "FLOAT"}
    types = {feature.name: _TYPES[names[feature.type]] for feature in features if feature.type in names}
    for source in draft.sources.values():
        columns = _header(source.get("uri", "")) if source.get("format") == "csv" else []
        if known := {name: types[name] for name in columns if name in types}:
            source["columns"] = known


def _files(draft: Draft, node: Node, form: str) -> None:
    if node.given.get("payload_format") not in (None, "FORMAT_TF_EXAMPLE", 6, 0) and form != "parquet":
        draft.block(node.id, "payload_format", "rows must be tf.Examples: no sequences and no raw protos")
    base = node.given.get("input_base")
    if isinstance(base, dict) and "runtime_parameter" in base:
        here = "its default is written; a run takes another by --set sources.NAME.uri=…"
        draft.add(node.id, f"RuntimeParameter {base['runtime_parameter']}", DIFFERS, here)
        base = base["default"]
    if not isinstance(base, str):
        draft.block(node.id, "input_base", "it is known in a run only; write the folder into the pipeline")
        return
    splits = (node.given.get("input_config") or {}).get("splits") or [{"name": "single_split", "pattern": "*"}]
    for split in splits:
        name = TABLE if len(splits) == 1 else split["name"]
        draft.sources[name] = {"uri": f"{base.rstrip('/')}/{split.get('pattern', '*')}", "format": form}
    draft.add(node.id, node.kind, SAME, "sources: " + ", ".join(source["uri"] for source in draft.sources.values()))
    _spans(draft, node)
    if len(splits) > 1:
        _by_input(draft, node, [split["name"] for split in splits])
    else:
        _by_hash(draft, node)


def _spans(draft: Draft, node: Node) -> None:
    if not any(_SPAN.search(source["uri"]) for source in draft.sources.values()):
        return
    if node.unknown("range_config"):
        draft.block(node.id, "range_config", "it is known in a run only; set sources.NAME.spans, in runs by --set")
        return
    wanted = spans(node.given.get("range_config") or {})
    for source in draft.sources.values():
        source["uri"] = _SPAN.sub(r"{\1}", source["uri"])
        source.update({"spans": wanted} if wanted else {})
    draft.add(node.id, "spans", SAME, f"spans: {wanted or 'latest'}")


def spans(range_config: dict[str, Any]) -> str:
    """Returns which spans a RangeConfig means, as settings say it; empty for the latest."""
    if static := range_config.get("static_range"):
        start, end = int(static.get("start_span_number", 0)), int(static.get("end_span_number", 0))
        return str(start) if start == end else f"{start} to {end}"
    if rolling := range_config.get("rolling_range"):
        return f"last {int(rolling.get('num_spans', 1))}"
    return ""


def _by_input(draft: Draft, node: Node, names: list[str]) -> None:
    """Splits that the input has: a source each."""
    if unknown := set(names) - {TRAIN, EVAL}:
        here = f"splits of the input are train and eval here, not {', '.join(sorted(unknown))}"
        draft.block(node.id, "input_config.splits", here)
        return
    selected = [f"SELECT *, {literal(name)} AS {SPLIT} FROM {identifier(name)}" for name in names]
    draft.files["examples.sql"] = "\nUNION ALL BY NAME\n".join(selected) + "\n"
    draft.parameters["split"] = {"method": "column", "column": SPLIT}
    draft.add(node.id, "input_config.splits", SAME, "the query says which source a row is of")


def _by_hash(draft: Draft, node: Node) -> None:
    config = (node.given.get("output_config") or {}).get("split_config") or {}
    buckets = {each["name"]: int(each["hash_buckets"]) for each in config.get("splits", [])} or {TRAIN: 2, EVAL: 1}
    if not {TRAIN, EVAL} <= buckets.keys():
        draft.block(node.id, "split_config", f"expected train and eval among the splits, not {', '.join(buckets)}")
        return
    said = ", ".join(f"{name} {count}" for name, count in buckets.items())
    if column := config.get("partition_feature_name"):
        draft.files["examples.sql"] = f"SELECT * FROM {TABLE}\n"
        draft.parameters["split"] = {"method": "hash", "columns": [column], "splits": buckets}
        draft.add(
            node.id, "split_config", DIFFERS, f"{said} by a hash of {column}: the shares are TFX's, the hash is not"
        )
        return
    if set(buckets) != {TRAIN, EVAL}:
        here = "more than train and eval needs partition_feature_name: columns that the hash is of"
        draft.block(node.id, "split_config", here)
        return
    draft.files["examples.sql"] = _whole_rows(buckets)
    draft.parameters["split"] = {"method": "column", "column": SPLIT}
    draft.add(node.id, "split_config", DIFFERS, f"{said} by a hash of the row: the shares are TFX's, the hash is not")


def _whole_rows(buckets: dict[str, int]) -> str:
    bucket = f"md5_number_lower(CAST({TABLE} AS VARCHAR)) % {sum(buckets.values())}"
    return (
        "-- A row is in the same split in every run, and rows that are alike are in one: the hash is of all of it.\n"
        f"SELECT *,\n  CASE WHEN {bucket} < {buckets[TRAIN]}\n"
        f"    THEN {literal(TRAIN)} ELSE {literal(EVAL)} END AS {SPLIT}\nFROM {TABLE}\n"
    )


def _bigquery(draft: Draft, node: Node) -> None:
    splits = (node.given.get("input_config") or {}).get("splits") or []
    queries = {each["name"]: each.get("pattern", "") for each in splits}
    if not queries or not all(queries.values()):
        draft.block(node.id, "query", "it is known in a run only; write it into the pipeline")
        return
    for name, query in queries.items():
        table = TABLE if len(queries) == 1 else name
        draft.files[f"{table}_bigquery.sql"] = query.strip() + "\n"
        draft.sources[table] = {"bigquery": f"{draft.folder}/{table}_bigquery.sql"}
    draft.add(node.id, "query", SAME, "sources: " + ", ".join(each["bigquery"] for each in draft.sources.values()))
    _by_input(draft, node, list(queries)) if len(queries) > 1 else _by_hash(draft, node)


def _header(uri: str) -> list[str]:
    """Returns the columns of the first file of a source, if it is here and plain."""
    files = sorted(path for path in glob.glob(uri) if path.endswith(".csv"))  # noqa: PTH207 - as the source has it
    if not files:
        return []
    with Path(files[0]).open(newline="", encoding="utf-8", errors="replace") as file:
        return next(csv.reader(file), [])
