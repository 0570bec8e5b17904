"""Puts the report together: the answer first, then how it came about, then where everything comes from."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from kfp_ct.pages.markup import render
from kfp_ct.report import (
    anomalies,
    artifacts,
    cache,
    comparison,
    curves,
    dag,
    data,
    drift,
    evaluation_config,
    features,
    figures,
    monitoring,
    predictions,
    provenance,
    schema,
    serving_checks,
    slices,
    steps,
    training,
    tuning,
    verdict,
)  # fmt: skip
from kfp_ct.report.content import Content
from kfp_ct.report.decision import Decision


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the page: a template below `report/`, and the function that returns the values that it shows."""

    template: str
    describe: Callable[[Content], Mapping[str, Any]]


# By heading; a part without values does not appear.
SECTIONS = {
    "Steps": Part("steps.html", steps.describe),
    "Why steps ran": Part("cache.html", cache.describe),
    "Predictions": Part("predictions.html", predictions.describe),
    "Monitoring": Part("monitoring.html", monitoring.describe),
    "Against the champion": Part("comparison.html", comparison.describe),
    "Slices": Part("slices.html", slices.describe),
    "Evaluation config": Part("evaluation_config.html", evaluation_config.describe),
    "Curves": Part("curves.html", curves.describe),
    "Serving checks": Part("serving_checks.html", serving_checks.describe),
    "Tuning": Part("tuning.html", tuning.describe),
    "Training": Part("training.html", training.describe),
    "Anomalies": Part("anomalies.html", anomalies.describe),
    "Schema": Part("schema.html", schema.describe),
    "Drift": Part("drift.html", drift.describe),
    "Data": Part("data.html", data.describe),
    "Features": Part("features.html", features.describe),
    "Provenance": Part("provenance.html", provenance.describe),
    "Artifacts and logs": Part("artifacts.html", artifacts.describe),
}
_FIGURES = Part("figures.html", figures.describe)


def draw(content: Content, decision: Decision, card: str = "") -> Markup:
    """Returns the page; `card` is the model card's file beside it, empty for none."""
    drawn = {heading: draw_part(part, content) for heading, part in SECTIONS.items()}
    return render(
        "report/page.html",
        decision=decision,
        subtitle=verdict.subtitle(content),
        card=card,
        verdict=render("report/verdict.html", **verdict.describe(content, decision)),
        figures=draw_part(_FIGURES, content),
        dag=dag.draw(content.run.tasks),
        sections=[(_anchor(heading), heading, markup) for heading, markup in drawn.items() if markup],
    )


def draw_part(part: Part, content: Content) -> Markup:
    """Returns a part of the page, empty if there is nothing to show.

    A summary of another shape (an older component's, from the cache) must not cost the report.
    """
    try:
        values = part.describe(content)
        return render(f"report/{part.template}", **values) if values else Markup()
    except (LookupError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        return render("report/not_drawn.html", error=error, type=type(error).__name__)


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
