"""Registered models: which version is champion and served, and how another one takes its place."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kfp_ct.base.errors import CtError, UsageError
from kfp_ct.champions import approval, cards, listing, locations, promotion
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store.faults import not_found, precondition
from kfp_ct.endpoint.ui import response
from kfp_ct.models.champion_history import Move
from kfp_ct.pages import formats
from kfp_ct.report import metrics
from kfp_ct.report.report import PAGE
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
    has_report: bool = False
    has_card: bool = False  # in the registry

    @property
    def promotable(self) -> bool:
        """Whether it can be made the champion, or served: only what was blessed, and is not both already."""
        return self.listed.blessed and not (self.listed.champion and self.listed.served) and not self.listed.approval


@dataclasses.dataclass(frozen=True)
class Model:
    """A registered model: its versions and moves, newest first, and the move that was cut off, if one was.

    `problem` says why nothing of it can be shown.
    """

    name: str
    versions: Sequence[ModelVersion] = ()
    moves: Sequence[Move] = ()
    words: Sequence[Move] = ()  # the moves, and who asked for, gave or refused an approval
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
        versions = [_version(where, each) for each in listing.versions(where, name)]
        moves = listing.history(where, name)
        words = listing.with_words(where, name, moves)
        return Model(name, versions, moves, words, promotion.unfinished(where, name))
    except CtError as error:  # no reason to show none of the others
        return Model(name, problem=str(error))


def _version(where: locations.Location, listed: listing.Listed) -> ModelVersion:
    window = " to ".join(formats.day(day) for day in listed.window.split("/")).strip()
    metric = metrics.title(listed.metric) if listed.metric else ""
    has_report = bool(listed.run) and (where.workspace.runs / listed.run / PAGE).is_file()
    has_card = cards.is_here(where, listed.model, listed.version)
    return ModelVersion(listed, metric, formats.metric(listed.value), window, has_report, has_card)


@router.get("/models/mlflow", response_class=HTMLResponse)
def open_mlflow(ctx: Ctx) -> Response:
    """Leads to MLflow's own UI over the registry, which is started when it is first asked for."""
    address = ctx.mlflow.address()
    if address:
        return RedirectResponse(f"{address}/#/models", 303)
    return response.page("mlflow.html", live=True)


@router.get("/models/{name}/{version}/model-card", response_class=HTMLResponse)
def show_card(ctx: Ctx, name: str, version: str) -> HTMLResponse:
    """Shows the card that the registry keeps with a version."""
    try:
        page = cards.read(locations.open_location(ctx.workspace), name, version, "html")
    except UsageError as error:
        raise not_found("model card of", f"{name} v{version}") from error
    return HTMLResponse(page, headers=response.HEADERS | {"Content-Security-Policy": response.REPORT_POLICY})


@dataclasses.dataclass(frozen=True)
class Change:
    """What a form asks for: a version, a reason, and who asks; by default who runs the service."""

    version: Annotated[str, Form()] = ""
    reason: Annotated[str, Form()] = ""
    by: Annotated[str, Form()] = ""

    @property
    def person(self) -> promotion.Person:
        """Who asks."""
        return promotion.Person(self.by.strip() or user(), self.reason.strip() or "by hand in the UI")


@router.post("/models/{name}/{action}")
def change_champion(ctx: Ctx, name: str, action: str, change: Annotated[Change, Depends()]) -> RedirectResponse:
    """Promotes, approves or rejects a version or rolls back; what was not blessed is refused, as everywhere."""
    acts: dict[str, Callable[[locations.Location], object]] = {
        "promote": lambda where: promotion.promote(where, name, change.version, change.person),
        "rollback": lambda where: promotion.rollback(where, name, change.person),
        "approve": lambda where: approval.approve(where, name, change.version, _named(change)),
        "reject": lambda where: approval.reject(where, name, change.version, _named(change)),
    }
    if action not in acts:
        raise not_found("action", action)
    try:
        acts[action](locations.open_location(ctx.workspace))
    except CtError as error:
        raise precondition(str(error)) from error
    return RedirectResponse("/models", 303)


def _named(change: Change) -> promotion.Person:
    """Returns who gives a word; the page is open to several persons, so it has to say who."""
    if not change.by.strip():
        raise UsageError(
            "the approval names nobody\nexpected: the name of who approves or rejects\nfix: fill in your name"
        )
    return change.person
