"""A scorecard as a page and as text."""

from markupsafe import Markup

from kfp_ct.pages.markup import render
from kfp_ct.scorecard.card import Card


def draw(card: Card) -> Markup:
    """Draws the page."""
    return render("report/scorecard.html", card=card)


def text(card: Card) -> str:
    """Returns the card as lines for a terminal."""
    lines = [f"ML Test Score of {card.project}: {card.score:g} ({card.meaning})"]
    for name, found in card.sections.items():
        lines += ["", f"{name}: {card.sums[name]:g} of 7"]
        for line in found:
            lines.append(f"  {line.finding.points:<3g} {line.name.split()[-1]}. {line.title}: {line.finding.evidence}")
            if line.finding.raises:
                lines.append(f"        more: {line.finding.raises}")
    return "\n".join(lines)
