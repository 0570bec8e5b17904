"""How versions of packages follow each other: PyPI's and Debian's."""

from collections.abc import Callable, Mapping
from typing import Any

from kfp_ct.ci.supply.sbom import Installed


def within(span: Mapping[str, Any], package: Installed) -> bool:
    """Says whether a package's version is in a range of an advisory, as OSV's schema has it."""
    key = order(package.ecosystem)
    version = key(package.version)
    inside = False
    events = [(kind, str(at)) for event in span.get("events", []) for kind, at in event.items()]
    for kind, at in sorted(events, key=lambda event: key(event[1])):
        if kind == "introduced" and version >= key(at):
            inside = True
        elif (kind == "fixed" and version >= key(at)) or (kind == "last_affected" and version > key(at)):
            inside = False
    return inside


def order(ecosystem: str) -> Callable[[str], Any]:
    """Returns what versions are compared by; "0" is before all, and what is no version before any."""
    from packaging.version import InvalidVersion, Version
    from univers.versions import DebianVersion

    def key(text: str) -> tuple[int, Any]:
        if text == "0":
            return (0, 0)
        try:
            return (2, DebianVersion(text) if ecosystem.startswith("Debian") else Version(text))
        except (InvalidVersion, ValueError):
            return (1, text)

    return key
