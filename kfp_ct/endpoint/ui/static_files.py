"""The pages' own files: style sheet, script, icon."""

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from kfp_ct.endpoint.store.faults import not_found
from kfp_ct.endpoint.ui import response

router = APIRouter()
_TYPES = {"ui.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


@router.get("/static/ui.css")
def style_sheet() -> Response:
    """Returns the style sheet."""
    return Response(response.style_sheet(), media_type="text/css", headers=_HEADERS)


@router.get("/static/{name}")
def static_file(name: str) -> Response:
    """Returns one of the other files."""
    if name not in _TYPES:
        raise not_found("file", name)
    return FileResponse(response.HERE / name, media_type=_TYPES[name], headers=_HEADERS)
