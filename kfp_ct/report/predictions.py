"""What a batch prediction wrote: how many rows, by which model, and how each output is distributed."""

from typing import Any

from kfp_ct.pages.sparklines import Bucket, Histogram, histogram
from kfp_ct.report.content import Content


def describe(content: Content) -> dict[str, Any]:
    """Returns what `report/predictions.html` shows: the summary, and a distribution for each output that has one."""
    summary = content.predictions
    if not summary:
        return {}
    counted = {name: output["histogram"] for name, output in summary["outputs"].items() if output["histogram"]}
    return {"summary": summary, "distributions": {name: _distribution(name, of) for name, of in counted.items()}}


def _distribution(name: str, counts: list[float]) -> Histogram:
    edges = [(index / len(counts), (index + 1) / len(counts)) for index in range(len(counts))]
    buckets = [Bucket(low, high, count) for (low, high), count in zip(edges, counts, strict=True)]
    return histogram({name: buckets}, f"distribution of {name}", size=(240, 34), labels=False)
