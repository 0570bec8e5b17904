"""Puts the report together: the answer first, then how it came about, then where everything comes from."""

from collections.abc import Callable
from pathlib import Path

from kfp_ct.pages.html import Html, join, note, section
from kfp_ct.pages.markup import render
from kfp_ct.report import (
    curves,
    dag,
    data,
    models,
    monitoring,
    overview,
    predictions,
    provenance,
    serving_checks,
    training,
)
from kfp_ct.report.content import Content
from kfp_ct.report.decision import Decision
from kfp_ct.report.parts import markup, template

HERE = Path(__file__).parent
# Heading and content; a section without content does not appear.
SECTIONS: dict[str, Callable[[Content], list[Html]]] = {
    "Steps": overview.steps,
    "Predictions": predictions.scored,
    "Monitoring": monitoring.draw,
    "Against the champion": models.comparison,
    "Slices": models.slices,
    "Curves": curves.draw,
    "Serving checks": serving_checks.trial,
    "Tuning": training.trials,
    "Training": training.history,
    "Anomalies": data.anomalies,
    "Drift": data.drift,
    "Data": data.examples,
    "Features": data.features,
    "Provenance": provenance.facts,
    "Artifacts and logs": provenance.files,
}


def draw(content: Content, decision: Decision) -> str:
    """Returns the page."""
    drawn = {heading: _drawn(build, content) for heading, build in SECTIONS.items()}
    sections = [(_anchor(name), name, markup(section(name, *parts))) for name, parts in drawn.items() if parts]
    return template(HERE / "page.html").render(
        title=f"{content.run.project}: {decision.headline}",
        heading=content.run.project,
        style=render("styles/page.css"),
        own_style=render("styles/report.css"),
        subtitle=overview.subtitle(content),
        decision=markup(overview.verdict(content, decision)),
        figures=markup(join(_drawn(overview.figures, content))),
        dag=dag.draw(content.run.tasks),
        sections=sections,
    )


def _drawn(build: Callable[[Content], list[Html]], content: Content) -> list[Html]:
    """Draws a section; a summary of another shape (an older component's, from the cache) must not cost the report."""
    try:
        return build(content)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return [note("warn", f"This part could not be drawn: {type(error).__name__}: {error}")]


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
