"""What a batch prediction wrote: how many rows, by which model, and how each output is distributed."""

from typing import Any

from kfp_ct.pages import sparklines
from kfp_ct.pages.html import MISSING, Html, code, muted, number, table
from kfp_ct.report import words
from kfp_ct.report.content import Content
from kfp_ct.report.parts import pairs, remark


def scored(content: Content) -> list[Html]:
    """Rows, model, files, and a line for each output."""
    of = content.predictions
    if not of:
        return []
    version = of.get("model_version")
    about: list[list[Any]] = [
        ["rows", f"{of['rows']:,}"],
        ["not finite", f"{of['nonfinite']:,}"],
        ["model version", words.version(version) if version else muted("not said")],
        ["predicted at", words.moment(of["predicted_at"])],
        ["files", f"{of['files']:,}"],
        ["carried through", ", ".join(of["columns"])],
        ["fingerprint", code(of["fingerprint"])],
    ]
    rows = [
        [
            name,
            _distribution(name, values),
            number(values["count"]),
            *(_number(values[key]) for key in ("mean", "min", "max")),
        ]
        for name, values in of["outputs"].items()
    ]
    drawn = [pairs(about)]
    if rows:
        drawn.append(table(["output", "distribution", "values", "mean", "smallest", "largest"], rows))
    if any(values["histogram"] for values in of["outputs"].values()):
        drawn.append(remark("Distributions are over 0 to 1, in twentieths."))
    return drawn


def _distribution(name: str, values: dict[str, Any]) -> Html:
    counts = values["histogram"]
    if not counts:
        return muted("not within 0 to 1")
    edges = [(index / len(counts), (index + 1) / len(counts)) for index in range(len(counts))]
    buckets = [sparklines.Bucket(low, high, count) for (low, high), count in zip(edges, counts, strict=True)]
    return sparklines.histogram({name: buckets}, f"distribution of {name}", size=(240, 34), labels=False)


def _number(value: float | None) -> str:
    return MISSING if value is None else number(value)
