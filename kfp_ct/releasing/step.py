"""One step of a model's release from the author's side: has the judge look, and does what it says."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Any

from kfp_ct.base import json_process
from kfp_ct.base.errors import NotServedError
from kfp_ct.champions import locations
from kfp_ct.champions.locations import Location
from kfp_ct.models import release_target, releases
from kfp_ct.models.release_state import Kept, State
from kfp_ct.models.releases import Releases
from kfp_ct.project import environments
from kfp_ct.project.workspace import Workspace

JUDGE = "kfp_ct.releasing.judge"
Judge = Callable[[State], Mapping[str, Any]]


def open_releases(place: Location, name: str) -> Releases:
    """Returns a model's releases."""
    return release_target.open_releases(place.serving, str(place.serving_root), name, place.registry_uri)


def step(place: Location, name: str, judge: Judge) -> State | None:
    """Looks at a running release once, and does what the look says; finishes what was decided and cut off.

    Returns:
        The release after that; None where none runs.

    Raises:
        CtError: The judge, the registry or the serving root cannot be used.
    """
    found = open_releases(place, name)
    try:
        kept = found.running(name)
    except NotServedError as error:
        return _back_out(found, name, error)
    if kept is None:
        return None
    return found.apply(kept, dict(judge(kept.state)), _now())


def of_project(workspace: Workspace, parameters: Mapping[str, Any], judge: Judge) -> State | None:
    """Steps the release of the model that a project's settings train; None where they have no policy or none runs."""
    if not (parameters.get("serving") or {}).get("release") or not parameters.get("model_name"):
        return None
    return step(locations.open_location(workspace, chosen=parameters), str(parameters["model_name"]), judge)


def judge_in(workspace: Workspace) -> Judge:
    """Returns a judge that runs in the component environment, where DuckDB joins the labels."""

    def judge(state: State) -> Mapping[str, Any]:
        command = [str(environments.require_component_python()), "-m", JUDGE]
        return json_process.ask(command, dataclasses.asdict(state), f"the judge of {state.model}'s release failed")

    return judge


def _back_out(found: Releases, name: str, error: NotServedError) -> State | None:
    """Backs out a candidate that does not get ready."""
    from kfp_ct.models import release_state

    state = release_state.read(found.root, name)
    if state is None:
        raise error
    look = {"verdict": releases.BACK_OUT, "reason": str(error).partition("\n")[0]}
    return found.apply(Kept(state.state, state.object_version), look, _now())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
