"""The card of the model that a run made, with what its project's people say of it today."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from kfp_ct.cards import card_formats
from kfp_ct.cards.statement import Statement
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.store.faults import not_found
from kfp_ct.endpoint.ui import response, run_page
from kfp_ct.report import model_statement, run_card
from kfp_ct.report.report import JSON

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]


@router.get("/runs/{run_id}/model_card.html", response_class=HTMLResponse)  # as the report beside it names it
@router.get("/runs/{run_id}/model-card", response_class=HTMLResponse)
def show_card(ctx: Ctx, run_id: str) -> HTMLResponse:
    """Shows the card; a run that evaluated no model has none."""
    folder = run_page.folder_of(ctx, run_id)
    if not (folder / JSON).is_file() or not (card := run_card.of_run(folder, Statement())).overall:
        raise not_found("model card of run", run_id)
    project = ctx.workspace.settings_folder(card.project).parent
    card = run_card.of_run(folder, model_statement.load(project))
    headers = response.HEADERS | {"Content-Security-Policy": response.REPORT_POLICY}
    return HTMLResponse(str(card_formats.page(card)), headers=headers)
