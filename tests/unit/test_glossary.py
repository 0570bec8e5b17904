"""The glossary: one entry per term, in order; every term is used in the code, the settings or the docs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TERMS = re.findall(r"^\*\*([^*]+)\*\* — ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
# Words that mean several things to a newcomer: each is told apart in the glossary.
AMBIGUOUS = ("baseline metric", "environment", "period", "report", "run", "schedule", "target", "trigger", "version")


def test_terms_are_unique_and_in_order():
    lower = [term.lower() for term in TERMS]
    assert lower == sorted(set(lower))


def test_every_term_is_used():
    files = [path for room in ("components", "kfp_ct", "pipelines", "docs") for path in (ROOT / room).rglob("*.*")]
    files += [ROOT / "README.md"]
    text = "\n".join(
        path.read_text()
        for path in files
        if path.suffix in (".py", ".md", ".yaml", ".html") and path.name != "glossary.md"
    ).lower()
    words = re.sub(r"[_\W]+", " ", text)
    assert [term for term in TERMS if re.sub(r"[_\W]+", " ", term).lower() not in words] == []


def test_ambiguous_words_have_an_entry():
    assert set(AMBIGUOUS) <= {term.lower() for term in TERMS}
