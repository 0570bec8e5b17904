"""Texts that somebody else chose, planted wherever a page shows one; what a page is made of apart from texts."""

from html.parser import HTMLParser

from hypothesis import strategies as st

HOSTILE = (
    '"><h1>x</h1>', "'><img src=x onerror=alert(1)>", "<script>alert('x')</script>", "{{ 7*7 }}", "{% raw %}",
    "{# x #}", "]]>", "<!--", "</style></title></svg>", "&lt;b&gt;&amp;", '" onload="x', "<b",
)  # fmt: skip
# Line breaks and control characters structure a message, or are none of HTML's.
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
# What a program reads, or this project alone writes.
_OURS = {
    "confidence", "direction", "end", "format", "kind", "measure", "method", "metric", "predicted_at", "start", "state",
    "task", "verdict",
}  # fmt: skip
# Mappings whose keys somebody chose.
_NAMED = {"columns", "outputs", "sources", "values"}


class Structure(HTMLParser):
    """A page's elements with the names of their attributes, in order; and its texts and the attributes' values."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], ""
        self.feed(str(page))  # not Markup, whose parts would be escaped when they are joined
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, [name for name, _ in attrs]))
        self.texts += "".join(f" {value}" for _, value in attrs)

    def handle_endtag(self, tag):
        self.elements.append(f"/{tag}")

    def handle_data(self, data):
        self.texts += data

    def handle_comment(self, data):
        self.elements.append("comment")

    def unknown_decl(self, data):
        self.elements.append("declaration")


def plant(value, text, key=""):
    """Returns a summary with a text added to everything in it that somebody else chose."""
    if isinstance(value, dict):
        return {f"{name}{text}" if key in _NAMED else name: plant(each, text, name) for name, each in value.items()}
    if isinstance(value, list):
        return [plant(each, text, "" if isinstance(each, dict) else key) for each in value]
    return f"{value}{text}" if isinstance(value, str) and value and key not in _OURS else value
