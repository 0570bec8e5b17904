"""Addresses of pages, built so that no name can break out of its place in them."""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit


def url(*segments: str, **query: Any) -> str:
    """Returns a page's address; `url("runs", run_id, text="a b")` is `/runs/<run_id>?text=a+b`.

    Args:
        segments: Parts of the path, each quoted whole.
        query: What is asked of the page; empty values are left out, lists repeat their name.
    """
    path = "/" + "/".join(quote(segment, safe="", errors="replace") for segment in segments)
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given, doseq=True, errors='replace')}" if given else path


def is_web_address(text: str) -> bool:
    """Whether a text that somebody wrote may become a link: `https:` and `http:` only, never `javascript:`."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
