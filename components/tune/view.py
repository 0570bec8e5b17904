"""The trials as a page, and as the table that the run's report shows as well."""

from typing import Any

from kfp_ct.pages import html


def draw(summary: dict[str, Any]) -> str:
    """Draws the page from the content of `summary.json`."""
    if not summary["trials"]:
        return html.page("Tuning", html.note("info", "No search: the hyperparameters are those of the settings."))
    best = next(trial for trial in summary["trials"] if trial["id"] == summary["best"])
    found = html.note("ok", f"Trial {best['id']} is the best: {summary['objective']} {best['score']:.4f}.")
    about = html.paragraph(
        f"{summary['rows']:,} rows of the train split to fit, {summary['held_out_rows']:,} held out of it to score by."
    )
    parts = [found, about]
    if summary["overruled"]:
        parts.append(html.note("info", f"The settings' own values were kept for {', '.join(summary['overruled'])}."))
    return html.page("Tuning", *parts, html.section("Trials", table(summary)))


def table(summary: dict[str, Any]) -> html.Html:
    """The trials, the best first, the failed last."""
    sign = -1 if summary["direction"] == "max" else 1
    ordered = sorted(
        summary["trials"], key=lambda trial: (trial["score"] is None, sign * (trial["score"] or 0.0), trial["id"])
    )
    names = list(dict.fromkeys(name for trial in ordered for name in trial["values"]))
    rows = [
        [
            trial["id"],
            _verdict(trial, summary["best"]),
            None if trial["score"] is None else f"{trial['score']:.4f}",
            *(_value(trial["values"].get(name)) for name in names),
            None if trial["seconds"] is None else f"{trial['seconds']:.0f} s",
        ]
        for trial in ordered
    ]
    return html.table(["trial", "result", summary["objective"], *names, "time"], rows)


def _verdict(trial: dict[str, Any], best: str) -> html.Html:
    if trial["score"] is None:
        return html.join([html.badge("bad", "failed"), " ", html.muted(trial["why"])])
    return html.badge("ok", "best") if trial["id"] == best else html.muted("completed")


def _value(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else None if value is None else str(value)
