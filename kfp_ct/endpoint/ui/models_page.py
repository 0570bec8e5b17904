"""Registered models: which version is champion and served, and how another one takes its place."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kfp_ct.base.errors import CtError
from kfp_ct.champions import listing, locations, promotion
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store.faults import not_found, precondition
from kfp_ct.endpoint.ui import response
from kfp_ct.models.champion_history import Move
from kfp_ct.pages import formats
from kfp_ct.report import metrics
from kfp_ct.runs.record import user

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """A version as the page lists it: what the registry says of it, with its metric's title and its window in words."""

    listed: listing.Listed
    metric: str
    value: str
    window: str

    @property
    def promotable(self) -> bool:
        """Whether it can be made the champion, or served: only what was blessed, and is not both already."""
        return self.listed.blessed and not (self.listed.champion and self.listed.served)


@dataclasses.dataclass(frozen=True)
class Model:
    """A registered model: its versions and moves, newest first, and the move that was cut off, if one was.

    `problem` says why nothing of it can be shown.
    """

    name: str
    versions: Sequence[ModelVersion] = ()
    moves: Sequence[Move] = ()
    unfinished: Move | None = None
    problem: str = ""

    @property
    def has_previous(self) -> bool:
        """Whether there is a champion to roll back to."""
        return bool(self.moves and self.moves[0].before)


@router.get("/models", response_class=HTMLResponse)
def list_models(ctx: Ctx) -> HTMLResponse:
    """Lists models and their versions."""
    if not (ctx.workspace.home / "registry" / "mlflow.db").exists():
        return response.page("models.html", models=[], registry=False, problem="")
    try:
        where = locations.open_location(ctx.workspace)
        found = [_model(where, name) for name in where.reader.models()]
    except CtError as error:
        return response.page("models.html", models=[], registry=True, problem=str(error))
    return response.page("models.html", models=found, registry=True, problem="")


def _model(where: locations.Location, name: str) -> Model:
    try:
        versions = [_version(each) for each in listing.versions(where, name)]
        return Model(name, versions, listing.history(where, name), promotion.unfinished(where, name))
    except CtError as error:  # no reason to show none of the others
        return Model(name, problem=str(error))


def _version(listed: listing.Listed) -> ModelVersion:
    window = " to ".join(formats.day(day) for day in listed.window.split("/")).strip()
    metric = metrics.title(listed.metric) if listed.metric else ""
    return ModelVersion(listed, metric, formats.metric(listed.value), window)


@router.get("/models/mlflow", response_class=HTMLResponse)
def open_mlflow(ctx: Ctx) -> Response:
    """Leads to MLflow's own UI over the registry, which is started when it is first asked for."""
    address = ctx.mlflow.address()
    if address:
        return RedirectResponse(f"{address}/#/models", 303)
    return response.page("mlflow.html", live=True)


@router.post("/models/{name}/{action}")
def change_champion(
    ctx: Ctx, name: str, action: str, version: Annotated[str, Form()] = "", reason: Annotated[str, Form()] = ""
) -> RedirectResponse:
    """Promotes a version or rolls back; what was not blessed is refused, as everywhere."""
    person = promotion.Person(user(), reason.strip() or "by hand in the UI")
    try:
        where = locations.open_location(ctx.workspace)
        if action == "promote":
            promotion.promote(where, name, version, person)
        elif action == "rollback":
            promotion.rollback(where, name, person)
        else:
            raise not_found("action", action)
    except CtError as error:
        raise precondition(str(error)) from error
    return RedirectResponse("/models", 303)
