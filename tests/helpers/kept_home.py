"""A local state as months of runs leave it: runs of several ages, what they wrote, a cache, a registry."""

import dataclasses
import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path

from kfp_ct.data import layouts
from kfp_ct.project.workspace import Workspace
from kfp_ct.runs import record
from kfp_ct.runs.events import State
from registered_models import release
from repository import ROOT

NOW = datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(frozen=True)
class MadeRun:
    """A run in the local state: its id, its tasks' folders and its entries in the cache, both by task."""

    id: str
    units: dict[str, Path]
    entries: dict[str, Path]


def workspace(home: Path) -> Workspace:
    return Workspace(ROOT, home)


def run(
    home: Path, days: float, tasks: Sequence[str] = ("ingest", "train"), reused: Sequence[Path] = (), **fields
) -> MadeRun:
    """Writes a run that began so many days ago; every task wrote 1,000 bytes and has an entry in the cache."""
    began = NOW - datetime.timedelta(days=days)
    id_ = fields.pop("id", f"{began:%Y%m%d-%H%M%S}-{abs(hash((days, *tasks))) % 16**8:08x}")
    root = home / "artifacts" / f"flights-training-{began:%Y-%m-%d-%H-%M-%S-%f}"
    units, entries = {}, {}
    for task in tasks:
        units[task] = root / task
        layouts.write_text(root / task / "made" / "data", "x" * 1000)
        entries[task] = home / "cache" / f"{id_}-{task}.json"
        output = {"__kfp_artifact__": True, "uri": str(root / task / "made"), "name": "made", "metadata": {}}
        layouts.write_text(entries[task], json.dumps({"made": output}))
        os.utime(entries[task], (began.timestamp(), began.timestamp()))
    made = [_task(task, units[task], State.SUCCEEDED) for task in tasks]
    made += [_task(f"reused-{unit.name}", unit, State.CACHED) for unit in reused]
    described = {"project": "flights", "pipeline": "pipelines.training", "state": record.SUCCEEDED, "parameters": {}}
    told = record.Run(
        id=id_, environment="local", cause="test", commit="c", versions={}, user="ada", started=began.isoformat(),
        tasks=made, **described | {"process": 2**22} | fields,
    )  # fmt: skip
    record.Recorder(told, home / "runs" / id_)
    return MadeRun(id_, units, entries)


def _task(name: str, unit: Path, state: State) -> record.Task:
    artifact = {"uri": str(unit / "made"), "type": "system.Artifact", "metadata": {}}
    return record.Task(name, name, [], state, artifacts={"made": artifact})


def versions(home: Path, *contents: str) -> None:
    """Registers and deploys models, one after the other; they are 100 days old."""
    for content in contents:
        release(home, content)
    age(home, 100)


def age(home: Path, days: float, *numbers: str) -> None:
    """Lets versions have been registered so many days ago; by default all."""
    import sqlite3

    created = int((NOW.timestamp() - days * 86400) * 1000)
    with sqlite3.connect(home / "registry" / "mlflow.db") as connection:
        where = f" WHERE version IN ({','.join(numbers)})" if numbers else ""
        connection.execute(f"UPDATE model_versions SET creation_time = {created}{where}")


def tree(home: Path) -> list[str]:
    """Returns all files of the local state, without locks and the journal."""
    found = (path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return sorted(path for path in found if ".lock" not in path and not path.endswith(("gc.jsonl", "-wal", "-shm")))
