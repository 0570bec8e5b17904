"""Where a page of a list stands among the others."""

import dataclasses
from collections.abc import Mapping

from kfp_ct.endpoint.store import listing
from kfp_ct.endpoint.ui.addresses import url


@dataclasses.dataclass(frozen=True)
class Pager:
    """How many of something there are and are shown, and the addresses of other pages; empty where there is none."""

    noun: str
    shown: int
    total: int
    first: str
    next: str


def pager(found: listing.Page, noun: str, place: tuple[str, ...], query: Mapping[str, str]) -> Pager:
    """Describes a page of a list.

    Args:
        found: The page.
        noun: What is listed, in the singular.
        place: Segments of the list's address.
        query: What is asked of the list, `page_token` among it.
    """
    rest = {name: value for name, value in query.items() if name != "page_token"}
    first = url(*place, **rest) if query.get("page_token") else ""
    following = url(*place, **rest, page_token=found.next_token) if found.next_token else ""
    return Pager(noun, len(found.rows), found.total, first, following)
