"""Forms made of a pipeline's inputs, and what a person wrote into them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_ct.endpoint.ui.describe import Input
from kfp_ct.pages.html import Html, escape

PREFIX = "input."


def fields(inputs: Sequence[Input], filled: Mapping[str, str], wrong: Mapping[str, str]) -> Html:
    """Draws a field an input.

    Args:
        inputs: The pipeline's inputs.
        filled: What was written before, by field name.
        wrong: What is wrong with it, by input name.
    """
    return Html("".join(_field(each, filled, wrong.get(each.name, "")) for each in inputs))


def read(inputs: Sequence[Input], form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads a form; returns the values that were given, and what is wrong with the others.

    What is as the pipeline has it by default is left to the pipeline, so that a schedule follows its defaults.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for each in inputs:
        text = form.get(PREFIX + each.name, "").strip()
        if text == shown(each).strip() and not each.required:
            continue
        if not text and not each.required and each.type != "STRING":
            continue
        try:
            values[each.name] = _value(each, text)
        except ValueError as error:
            wrong[each.name] = str(error)
    return values, wrong


def shown(each: Input) -> str:
    """Returns an input's default value as it stands in a form."""
    if each.default is None:
        return ""
    if isinstance(each.default, str):
        return each.default
    if isinstance(each.default, dict | list):
        return json.dumps(each.default, indent=1, ensure_ascii=False)
    return json.dumps(each.default)


def choice(name: str, options: Sequence[tuple[str, str]], chosen: str, label: str) -> Html:
    """A labelled choice of a few."""
    drawn = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
    return Html(f'<label>{escape(label)}<select name="{name}">{drawn}</select></label>')


def line(name: str, label: str, value: str, help_: str = "", wrong: str = "", kind: str = "text") -> Html:
    """A field of one line with a label beside it."""
    extra = f' aria-invalid="true" aria-describedby="{name}-wrong"' if wrong else ""
    drawn = f'<input type="{kind}" id="{name}" name="{name}" value="{escape(value)}"{extra}>'
    return _beside(name, escape(label), drawn, help_, wrong)


def _field(each: Input, filled: Mapping[str, str], wrong: str) -> Html:
    name = PREFIX + each.name
    value = filled.get(name, shown(each))
    extra = ' aria-required="true"' if each.required else ""
    extra += f' aria-invalid="true" aria-describedby="{name}-wrong"' if wrong else ""
    if each.type in ("LIST", "STRUCT"):
        rows = min(max(value.count("\n") + 1, 2), 12)
        drawn = (
            f'<textarea id="{name}" name="{name}" rows="{rows}" spellcheck="false"{extra}>{escape(value)}</textarea>'
        )
    elif each.type == "BOOLEAN":
        options = "".join(
            f'<option value="{each_}"{" selected" if value == each_ else ""}>{word}</option>'
            for each_, word in (("true", "yes"), ("false", "no"))
        )
        drawn = f'<select id="{name}" name="{name}"{extra}>{options}</select>'
    else:
        drawn = f'<input type="text" id="{name}" name="{name}" value="{escape(value)}"{extra}>'
    required = ", required" if each.required else ""
    label = Html(f'{escape(each.name)}<span class="kind">{escape(each.kind)}{required}</span>')
    return _beside(name, label, drawn, each.help, wrong)


def _beside(name: str, label: Html, drawn: str, help_: str, wrong: str) -> Html:
    said = f'<p class="help">{escape(help_)}</p>' if help_ else ""
    said += f'<p class="wrong" id="{name}-wrong">{escape(wrong)}</p>' if wrong else ""
    return Html(f'<div class="field"><label for="{name}">{label}</label><div>{drawn}{said}</div></div>')


def _value(each: Input, text: str) -> Any:
    if each.type == "STRING":
        if not text and each.required:
            raise ValueError("a value is needed")
        return text
    if not text:
        raise ValueError("a value is needed")
    if each.type == "BOOLEAN":
        return text == "true"
    if "[[" in text and each.type in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        raise ValueError("expressions such as [[Index]] fit texts only")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is no {each.kind}: {error}") from error
    wanted: dict[str, type | tuple[type, ...]] = {
        "NUMBER_INTEGER": int, "NUMBER_DOUBLE": (int, float), "LIST": list, "STRUCT": dict,
    }  # fmt: skip
    if not isinstance(value, wanted[each.type]) or isinstance(value, bool):
        raise ValueError(f"expected a {each.kind}")
    return value
