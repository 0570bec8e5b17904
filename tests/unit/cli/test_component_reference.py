"""docs/components/ is what the components say of themselves, and the site of docs/ is whole."""

import re

import pytest
from sphinx.application import Sphinx

from kfp_ct.cli import component_reference, notebook, setting_reference
from repository import ROOT

PAGES = ROOT / "docs" / "components"


def test_every_component_has_its_page_and_no_other_has():
    assert {page.stem for page in PAGES.glob("*.md")} == {"index", *component_reference.names()}
    assert {"ingest", "train", "deploy", "monitor"} <= set(component_reference.names())


def test_the_pages_are_current():
    described = setting_reference.page()

    for name in component_reference.names():
        assert (PAGES / f"{name}.md").read_text() == component_reference.page(name, described), "fix: make docs"
    assert (PAGES / "index.md").read_text() == component_reference.overview(), "fix: make docs"


@pytest.mark.parametrize("name", component_reference.names())
def test_every_input_and_output_is_described(name):
    rows = [line for line in (PAGES / f"{name}.md").read_text().splitlines() if line.startswith("| `")]

    assert rows
    assert not [row for row in rows if re.search(r"\| *\|$", row)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    application = Sphinx(
        ROOT / "docs", ROOT / "infra" / "site", folder / "html", folder / "trees", "html",
        status=None, warning=None, warningiserror=True, exception_on_warning=True,
    )  # fmt: skip
    application.build()
    return folder / "html"


def test_the_site_has_every_page_and_no_dead_link(site):
    made = {page.relative_to(site).with_suffix("").as_posix() for page in site.rglob("*.html")}

    assert {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in ROOT.glob("docs/**/*.md")} <= made


def test_the_site_names_the_repository_s_files_and_loads_nothing_from_elsewhere(site):
    text = (site / "architecture.html").read_text()

    assert ">pipelines/training.py<" in text
    assert "](../" not in text
    for page in site.rglob("*.html"):
        assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", page.read_text())


def test_the_notebook_is_current():
    page = ROOT / "docs" / "notebook.md"

    assert page.with_suffix(".ipynb").read_text() == notebook.of_page(page.read_text()), "fix: make docs"
