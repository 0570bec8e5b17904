"""The way in where a token is asked for."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kfp_ct.endpoint.api import guard
from kfp_ct.endpoint.api.context import Context, context
from kfp_ct.endpoint.ui import response

router = APIRouter()
Ctx = Annotated[Context, Depends(context)]
_MONTH = 30 * 86400


@router.get("/login", response_class=HTMLResponse)
def ask_for_token() -> HTMLResponse:
    """Asks for the token."""
    return response.page("login.html", problem="")


@router.post("/login")
def sign_in(ctx: Ctx, token: Annotated[str, Form()] = "") -> Response:
    """Takes the token, and keeps it in a cookie that only this endpoint's pages send."""
    if not hmac.compare_digest(token.encode(), ctx.token.encode()):
        return response.page("login.html", 401, problem="This is not the token of this endpoint.")
    answer = RedirectResponse("/runs", 303)
    answer.set_cookie(guard.COOKIE, token, httponly=True, samesite="strict", max_age=_MONTH)
    return answer
