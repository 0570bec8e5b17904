"""A model card as a page, as Markdown with the metadata that model hubs read, and as the Model Card Toolkit's JSON."""

import json
from collections.abc import Mapping
from typing import Any

import yaml
from markupsafe import Markup

from kfp_ct.base.json_values import jsonable
from kfp_ct.cards.model_card import Card, Measure
from kfp_ct.pages.formats import metric, number
from kfp_ct.pages.markup import render

# https://github.com/tensorflow/model-card-toolkit, schema/v0.0.2/model_card.schema.json
SCHEMA_VERSION = "0.0.2"
FORMATS = ("html", "md", "json")
_LISTS = {
    "Intended uses": "intended_uses",
    "Users": "users",
    "Out of scope": "out_of_scope",
    "Limitations": "limitations",
    "Trade-offs": "trade_offs",
    "References": "references",
}


def text(card: Card, form: str) -> str:
    """Returns the card in one of the forms."""
    if form == "json":
        return json.dumps(machine(card), indent=1, ensure_ascii=False) + "\n"
    return str(page(card) if form == "html" else markdown(card))


def page(card: Card) -> Markup:
    """Returns the card as a page of one file."""
    lists = {heading: getattr(card.statement, field) for heading, field in _LISTS.items()}
    lists = {name: found for name, found in lists.items() if found}
    remarks = {
        "importance_remark": remark_on(card) if card.importance else "",
        "attribution_remark": _how_attributed(card) if card.attribution else "",
    }
    return render("report/model_card.html", card=card, lists=lists, **remarks)


def machine(card: Card) -> dict[str, Any]:
    """Returns the card in the Model Card Toolkit's JSON, version 0.0.2."""
    said = card.statement
    details = {
        "name": card.name,
        "overview": said.overview,
        "owners": [{"name": each.name, "contact": each.contact} for each in said.owners],
        "version": {"name": card.version or card.fingerprint[:12], "date": card.date},
        "licenses": [{"identifier": said.licence}] if said.licence else [],
        "references": [{"reference": each} for each in said.references],
    }
    data: list[dict[str, str]] = [
        {"name": f"{name} split", "description": f"{rows} rows, {card.data['window']}"}
        for name, rows in card.data.get("rows", {}).items()
    ]
    considerations = {
        "users": [{"description": each} for each in said.users],
        "use_cases": [{"description": each} for each in (*said.intended_uses, *_not_for(card))],
        "limitations": [{"description": each} for each in said.limitations],
        "tradeoffs": [{"description": each} for each in said.trade_offs],
        "ethical_considerations": [{"name": each.name, "mitigation_strategy": each.mitigation} for each in said.risks],
    }
    found: dict[str, Any] = jsonable(
        {
            "schema_version": SCHEMA_VERSION,
            "model_details": details,
            "model_parameters": {"data": data},
            "quantitative_analysis": {
                "performance_metrics": [*(_performance(each) for each in _all(card)), *_losses(card), *_moves(card)]
            },
            "considerations": considerations,
        }
    )
    return found


def markdown(card: Card) -> str:
    """Returns the card as Markdown; its head is the metadata that Hugging Face's hub reads (`model-index`)."""
    head = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True).rstrip()
    return f"---\n{head}\n---\n\n{body(card)}"


def body(card: Card) -> str:
    """Returns the Markdown without its head."""
    lines = [f"# {card.name}, {card.named}", "", card.statement.overview, ""]
    if missing := card.statement.missing:
        said = ", ".join(missing).replace("_", " ")
        lines += [f"> Nobody has written yet: {said}. A project says so in model_card.yaml.", ""]
    for heading, field in _LISTS.items():
        if found := getattr(card.statement, field):
            lines += [f"## {heading}", "", *(f"- {each}" for each in found), ""]
    if card.statement.risks:
        lines += ["## Risks", "", *(f"- {each.name}: {each.mitigation}" for each in card.statement.risks), ""]
    lines += ["## Data", "", *_rows({**card.data, "columns": ", ".join(card.data.get("columns", {}))}), ""]
    lines += ["## Metrics", "", "| metric | value |", "| --- | --- |"]
    lines += [f"| {each.metric} | {metric(each.value)} |" for each in card.overall]
    lines += [
        "",
        *_slices(card),
        *_importance(card),
        *_attribution(card),
        "## Gates",
        "",
        "| gate | passed | why |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {each['gate']} | {'yes' if each['passed'] else 'no'} | {each['reason']} |" for each in card.gates]
    return "\n".join([*lines, "", "## Lineage", "", *_rows(card.lineage), ""])


def _metadata(card: Card) -> dict[str, Any]:
    measured = [{"type": each.metric, "value": each.value} for each in card.overall if each.value is not None]
    result = {
        "task": {"type": "tabular-classification"},
        "dataset": {"name": card.data.get("window", ""), "type": card.data.get("fingerprint", "")},
        "metrics": measured,
    }
    licence = {"license": card.statement.licence.lower()} if card.statement.licence else {}
    return {**licence, "library_name": "keras", "model-index": [{"name": card.name, "results": [result]}]}


def _slices(card: Card) -> list[str]:
    if not card.slices:
        return []
    rows = [f"| {each.slice} | {number(each.rows)} | {metric(each.value)} |" for each in card.slices]
    gaps = [f"- {gap.column}: {metric(gap.size)} between {gap.best.slice} and {gap.worst.slice}" for gap in card.gaps]
    heading = ["## Slices", "", f"| slice | rows | {card.decides} |", "| --- | --- | --- |"]
    small = [f"Too few rows to be judged: {', '.join(card.too_small)}.", ""] if card.too_small else []
    return [*heading, *rows, "", *gaps, "", *small]


def _importance(card: Card) -> list[str]:
    found = card.importance
    if not found:
        return []
    heading = ["## Importance", "", remark_on(card), "", f"| input | loss of {found['metric']} | interval |"]
    return [*heading, *_features(found, "loss")]


def _attribution(card: Card) -> list[str]:
    found = card.attribution
    if not found:
        return []
    heading = ["## Attribution", "", _how_attributed(card), "", f"| input | moves {found['output']} by | interval |"]
    return [*heading, *_features(found, "moves")]


def _features(found: Mapping[str, Any], amount: str) -> list[str]:
    rows = [
        f"| {each['feature']} | {metric(each[amount])} | {metric(each['low'])} to {metric(each['high'])} |"
        for each in found["features"]
    ]
    return ["| --- | --- | --- |", *rows, ""]


def _how_attributed(card: Card) -> str:
    found = card.attribution
    return (
        f"How far each input moves the output {found['output']} from what it is for the mean row, on average over "
        f"{found['rows']:,} rows of the eval split: integrated gradients (Sundararajan et al. 2017) at "
        f"{found['points']} points, {100 * found['confidence']:g} % intervals. What the inputs of a row get adds up to "
        f"the difference of the outputs; here it is off by {metric(found['gap'])} on average. "
        f"Measured in {found['seconds']:.1f} seconds of CPU."
    )


def remark_on(card: Card) -> str:
    """Says how importance was measured, and what that cost."""
    found = card.importance
    return (
        f"What the model loses when one input's values are shuffled between {found['rows']:,} rows of the eval split, "
        f"where its {found['metric']} is {metric(found['value'])}; {100 * found['confidence']:g} % intervals. Inputs "
        "that say the same stand in for each other, so the losses do not add up. "
        f"Measured in {found['seconds']:.1f} seconds of CPU."
    )


def _rows(values: Any) -> list[str]:
    rows = [f"| {name} | {_cell(value)} |" for name, value in values.items() if value not in ("", None)]
    return ["| | |", "| --- | --- |", *rows]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {number(each)}" for name, each in value.items())
    return str(number(value)).replace("|", "\\|")


def _not_for(card: Card) -> list[str]:
    return [f"Not for: {each}" for each in card.statement.out_of_scope]


def _all(card: Card) -> list[Measure]:
    return [*card.overall, *card.slices]


def _losses(card: Card) -> list[dict[str, Any]]:
    """Importance as metrics of the toolkit, which has a place for intervals and none for inputs."""
    name = card.importance.get("metric")
    return [
        _bounded(f"{name} lost without {each['feature']}", each["loss"], each)
        for each in card.importance.get("features", ())
    ]


def _moves(card: Card) -> list[dict[str, Any]]:
    name = card.attribution.get("output")
    return [
        _bounded(f"{name} moved by {each['feature']}", each["moves"], each)
        for each in card.attribution.get("features", ())
    ]


def _bounded(type_: str, value: float, each: Mapping[str, Any]) -> dict[str, Any]:
    found = {"type": type_, "value": repr(value), "slice": ""}
    if each["low"] is None:  # too few rows to know
        return found
    return {**found, "confidence_interval": {"lower_bound": repr(each["low"]), "upper_bound": repr(each["high"])}}


def _performance(each: Measure) -> dict[str, Any]:
    found: dict[str, Any] = {"type": each.metric, "value": "" if each.value is None else repr(each.value)}
    return {**found, "slice": each.slice}
