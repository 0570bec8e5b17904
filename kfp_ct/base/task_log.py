"""What a component says while it works: plain lines that read well in a pod's log and that `ct run` shows live."""

import sys

SUMMARY = "summary: "
PROGRESS = "progress: "
ERROR = "error: "


def summary(text: str) -> None:
    """Logs what a step found or did; the last one is shown beside the step in the live view and the report."""
    print(f"{SUMMARY}{text}", flush=True)


def progress(text: str) -> None:
    """Says how far a long step has come."""
    print(f"{PROGRESS}{text}", flush=True)


def error(text: str) -> None:
    """Says why a step stops; the lines after the first are indented so that they stay one message."""
    first, *rest = text.splitlines() or [""]
    print("\n".join([f"{ERROR}{first}", *(f"  {line.strip()}" for line in rest)]), file=sys.stderr, flush=True)
