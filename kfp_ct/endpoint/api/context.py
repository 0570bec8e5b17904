"""What every request has at hand."""

import dataclasses
import threading
from typing import Annotated

from fastapi import Query, Request

from kfp_ct.endpoint.mlflow_ui import MlflowUi
from kfp_ct.endpoint.store import listing
from kfp_ct.endpoint.store.database import Database
from kfp_ct.project.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Context:
    """The endpoint's state."""

    workspace: Workspace
    database: Database
    mlflow: MlflowUi
    token: str = ""  # what callers have to know, if anything
    wake: threading.Event = dataclasses.field(default_factory=threading.Event)  # set when there is work to do


def context(request: Request) -> Context:
    """Returns the endpoint's state."""
    found = request.app.state.context
    assert isinstance(found, Context)  # noqa: S101 - set where the application is made
    return found


def asked(
    page_token: Annotated[str, Query()] = "",
    page_size: Annotated[int, Query()] = 0,
    sort_by: Annotated[str, Query()] = "",
    filter_: Annotated[str, Query(alias="filter")] = "",
) -> listing.Asked:
    """Returns what a caller asks of a list."""
    return listing.Asked(page_token, page_size, sort_by, filter_)
