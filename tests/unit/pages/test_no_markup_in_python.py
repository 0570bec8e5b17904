"""Markup is made by templates: no Python of the product holds an element or an entity in a string."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = ("kfp_ct", "components", "pipelines")
# Elements by name, so that placeholders such as <version> and <MODEL> are none.
_ELEMENTS = (
    "a|abbr|article|aside|b|body|br|button|caption|circle|code|dd|details|div|dl|dt|em|figcaption|figure|footer|form|g|"
    "h[1-6]|head|header|hr|html|i|iframe|img|input|label|li|line|link|main|meta|nav|object|ol|option|p|path|polyline|"
    "pre|rect|script|section|select|small|span|strong|style|summary|svg|table|tbody|td|text|textarea|th|thead|time|"
    "title|tr|u|ul|video"
)
_MARKUP = re.compile(
    rf"(?<!\(\?P)<(?:{_ELEMENTS})(?:\s[^<]*)?/?>?(?=\W|$)|</\w|<!doctype|&(?:nbsp|lt|gt|amp|quot|#\w+);", re.IGNORECASE
)


def markup_in(source):
    """Returns the lines of a Python source whose strings, docstrings left out, hold markup."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and _MARKUP.search(node.value)
    ]


def sources():
    # kfp_ct/components is a link to components.
    return sorted({path.resolve() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")})


# The prediction service's image has no Jinja; its one page escapes by html.escape (docs/decisions.md), which its own
# tests hold.
WITHOUT_TEMPLATES = ROOT / "kfp_ct/serving/page.py"


def test_no_string_of_the_product_holds_markup():
    found = {
        f"{path.relative_to(ROOT)}:{line}": text
        for path in sources()
        if path != WITHOUT_TEMPLATES
        for line, text in markup_in(path.read_text())
    }
    assert found == {}
    assert len(sources()) > 300


@pytest.mark.parametrize(
    "planted",
    [
        'return "<b>" + name',
        'return f"<td class={style}>{value}</td>"',
        "return f'<a href=\"{href}\">'",
        'return "</span>"',
        'return f"{name}&nbsp;{value}"',
        'return "<br/>".join(lines)',
        'return "<svg " + attributes',
        'return "<!doctype html>"',
    ],
)
def test_markup_in_a_string_is_found(planted):
    assert markup_in(f"def draw(name, value, style, href, lines, attributes):\n    {planted}\n")


@pytest.mark.parametrize(
    "innocent",
    ['"""Makes <b>."""', 'say("ct promote <model> <version>")', 'ask("a < b and c > d")', 'say("NAME=<VALUE>")'],
)
def test_placeholders_comparisons_and_docstrings_are_no_markup(innocent):
    assert markup_in(innocent) == []
