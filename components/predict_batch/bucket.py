"""Predictions in an object store: shards as they are finished, the manifest last; a later run takes what is whole.

    <folder>/<identity>/_begun.json                 what is predicted, and since when
    <folder>/<identity>/predictions-….parquet       a finished shard
    <folder>/<identity>/_shards/….parquet.json      its record, written after it: without it the shard does not count
    <folder>/<identity>/summary.json, manifest.json what the prediction came to

The name is that of the prediction, so two runs at once write the same; whoever began first says since when.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kfp_ct.base import task_log
from kfp_ct.components.predict_batch.plan import Shard
from kfp_ct.data import layouts
from kfp_ct.storage import locations, storage

RECORDS = "_shards"


def begin(folder: str, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """Writes that a prediction began, unless a run before or beside this one did; returns what is written there.

    Raises:
        ConfigurationError: The bucket is missing or may not be written.
    """
    uri = locations.join(folder, name)
    storage.create(uri, json.dumps(state).encode())
    return dict(json.loads(storage.read_text(uri, "state of the prediction")))


def fetch(folder: str, local: Path, planned: Sequence[Shard]) -> None:
    """Copies shards that a run before finished, with their records."""
    found = {each.uri.removeprefix(f"{folder}/"): each for each in storage.list_folder(folder)}
    whole = [each.file for each in planned if each.file in found and f"{RECORDS}/{each.file}.json" in found]
    names = [name for file in whole for name in (file, f"{RECORDS}/{file}.json")]
    storage.download((found[name], local / name) for name in names if not (local / name).is_file())
    if whole:
        task_log.progress(f"{len(whole)} of {len(planned)} files are in {folder} already")


def publish(folder: str, local: Path, name: str) -> None:
    """Uploads a finished shard, then its record."""
    storage.write(locations.join(folder, name), local / name)
    record = f"{RECORDS}/{name}.json"
    storage.write(locations.join(folder, record), local / record)


def reopen(folder: str) -> None:
    """Takes the manifest away, so that nobody takes what is there for finished."""
    storage.delete(locations.join(folder, layouts.MANIFEST))


def finish(folder: str, local: Path, planned: Sequence[Shard]) -> None:
    """Uploads what the prediction came to, the manifest last; shards first that a killed try of this task kept."""
    there = {each.uri.removeprefix(f"{folder}/"): each.size for each in storage.list_folder(folder)}
    for file in (shard.file for shard in planned):
        if there.get(file) != (local / file).stat().st_size or f"{RECORDS}/{file}.json" not in there:
            publish(folder, local, file)
    for name in (layouts.SUMMARY, layouts.MANIFEST):
        storage.write(locations.join(folder, name), local / name)
