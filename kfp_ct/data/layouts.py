"""The on-disk layouts that components share: the contract between them.

Examples (a `Dataset`):

    manifest.json                                     `Manifest`
    Split-<name>/data_parquet-00000-of-00002.parquet  columns of int64, float32 or string, missing is null
    Split-<name>/data_tfrecord-00000-of-00002.gz      in their place if the manifest's format says so: tf.Examples
    quarantine.jsonl                                  rows that could not be read, if any

Statistics: `Split-<name>/FeatureStats.pb`; schema: `schema.pbtxt`, and `inferred.pbtxt` beside a curated one;
anomalies: `Split-<name>/SchemaDiff.pb`;
transform graph: TFT's `transform_fn/` and `transformed_metadata/`; model: a SavedModel under `Format-Serving/`,
and under `Training/` the `schema.pbtxt` and `manifest.json` it was trained by. A registered model also has
`Registered/`: the statistics artifact of its training data, its evaluation's `summary.json`, its blessing, its model
card.
A machine-readable account of a step stands beside its data as `summary.json`; reports read nothing else.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kfp_ct.base.errors import DataError

PARQUET, TFRECORD = "parquet", "tfrecord"
MANIFEST = "manifest.json"
SUMMARY = "summary.json"
SCHEMA, INFERRED_SCHEMA = "schema.pbtxt", "inferred.pbtxt"
SERVING_MODEL = "Format-Serving"
# What a model artifact says of its training, and what the registry keeps beside a registered one.
TRAINING, REGISTERED = "Training", "Registered"
KEPT_BLESSING, KEPT_EVALUATION, KEPT_CARD = "blessing", "evaluation", "model_card"
STATISTICS_FILE = "FeatureStats.pb"
TRAIN, EVAL = "train", "eval"
# The only split of rows that are to be scored.
PREDICT = "predict"
# Rows handled at a time: memory is bounded by this, whatever the number of rows.
BATCH_ROWS = 50_000


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a dataset: its name, rows and files (paths relative to the dataset)."""

    name: str
    rows: int
    files: list[str]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a dataset is, so that nobody has to open its data to know."""

    splits: list[Split]
    columns: dict[str, str]  # name → "int", "float" or "string", in file order
    fingerprint: str  # of the rows' content, whatever their order or files
    sources: dict[str, str]  # table name → URI
    window: dict[str, str]  # start (inclusive) and end (exclusive), ISO 8601; empty where unbounded
    split_by: dict[str, Any]
    rejected_rows: int = 0
    format: str = PARQUET
    # Texts that were read as a missing value: of each source and column, with how often.
    null_marks: dict[str, dict[str, dict[str, int]]] = dataclasses.field(default_factory=dict)
    # Of columns that were lists of lists, and are stored as their values in order: the shape of every row.
    shapes: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    def split(self, name: str) -> Split:
        """Returns a split by name.

        Raises:
            DataError: The dataset has no such split.
        """
        for split in self.splits:
            if split.name == name:
                return split
        raise DataError(f"the dataset has no split {name!r}\nexpected: one of {[s.name for s in self.splits]}")


def write_manifest(root: str | Path, manifest: Manifest) -> None:
    """Writes a dataset's manifest; a dataset without one is not finished."""
    write_json(Path(root) / MANIFEST, dataclasses.asdict(manifest))


def read_manifest(root: str | Path) -> Manifest:
    """Reads a dataset's manifest.

    Raises:
        DataError: The folder holds no finished dataset.
    """
    path = Path(root) / MANIFEST
    if not path.is_file():
        raise DataError(f"no {MANIFEST} in {root}\nexpected: a dataset written by ingest")
    fields = json.loads(path.read_text())
    return Manifest(**{**fields, "splits": [Split(**split) for split in fields["splits"]]})


def split_path(root: str | Path, split: str) -> Path:
    """Returns the folder of a split, as TFX names it."""
    return Path(root) / f"Split-{split}"


def split_files(root: str | Path, split: str) -> list[str]:
    """Returns the paths of a split's data files, in order."""
    return [str(Path(root) / file) for file in read_manifest(root).split(split).files]


def files_of_splits(root: str | Path, splits: Iterable[str]) -> list[str]:
    """Returns the paths of several splits' data files, in order."""
    return [file for split in splits for file in split_files(root, split)]


def is_tfrecord(file: str | Path) -> bool:
    """Says whether a file is TFRecord, by its name."""
    return "tfrecord" in Path(file).name.lower()


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON under a temporary name and renames it; refuses NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it; parents are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_json(path: str | Path) -> Any:
    """Reads a JSON file."""
    return json.loads(Path(path).read_text())


def tree_fingerprint(root: str | Path, leave_out: str = "") -> str:
    """Returns a SHA-256 over the names and contents of all files below a folder, without one of its subfolders."""
    digest = hashlib.sha256()
    root = Path(root)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        if leave_out and path.relative_to(root).parts[0] == leave_out:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
