"""A reader of markup that tells whether its elements are closed in order."""

from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "input"}


class _Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def parsed(markup):
    """Returns the names of a markup's elements; fails if one is left open or closed out of order."""
    reader = _Elements()
    reader.feed(markup)
    reader.close()
    assert reader.wrong == []
    assert reader.open == []
    return reader.tags
