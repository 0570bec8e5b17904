"""A registry and a serving folder with several versions of a model, as runs leave them."""

import dataclasses
from pathlib import Path

from kfp_ct.champions.locations import Location, open_location
from kfp_ct.components.deploy import work as deploying
from kfp_ct.components.register import work as registering
from kfp_ct.models import serving_folder
from kfp_ct.project.workspace import Workspace
from release_artifacts import make_run
from repository import ROOT

LINEAGE = {"run": "r", "user": "ada", "cause": "new data"}


def place_in(home: Path) -> Location:
    return open_location(Workspace(ROOT, home))


def release(home: Path, content: str, saved_model: Path | None = None) -> str:
    """Registers and deploys a blessed model; returns its version."""
    place = place_in(home)
    run = make_run(home / "made" / content, content, saved_model=saved_model)
    candidate = dataclasses.replace(run.candidate(f"key {content}"), lineage=LINEAGE)
    version = registering.register(candidate, place.registry_uri, "flights").version
    served = serving_folder.Release(run.model, run.blessing, "flights", version)
    deploying.deploy(
        served, deploying.Destination(str(place.serving_root)), 3, str(home / "made" / content / "deployment")
    )
    return version


def now(place: Location) -> tuple[str, str]:
    """Returns the champion and the served version."""
    champion = place.reader.champion("flights")
    return champion.number if champion else "", serving_folder.served(place.serving_root, "flights")


def three_versions(root: Path) -> Path:
    """Makes a local state with three versions, the third champion and served, to be copied.

    It has been moved since, so that the models of a copy are those beside its database.
    """
    home = root / "made"
    assert [release(home, content) for content in ("one", "two", "three")] == ["1", "2", "3"]
    return home.rename(root / "kept")
