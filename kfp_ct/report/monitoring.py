"""What a monitoring run found, as its component draws it."""

from kfp_ct.components.monitor import view
from kfp_ct.pages.html import Html, facts, paragraph, subsection
from kfp_ct.report.content import Content


def draw(content: Content) -> list[Html]:
    """The decision with its reasons, and what it rests on."""
    account = content.monitoring
    if not account:
        return []
    title = f"{account['model']} v{account['version']}, {view.window(account)}"
    parts = [subsection(heading, *drawn) for heading, drawn in view.sections(account).items()]
    return [paragraph(title), view.verdict(account), facts(view.figures(account)), *parts]
